/** How late late samples are, in the bands by which they are counted. */

/** A sample is in the first band that it is not too late for. */
const LATENESS_BANDS = [
  ['under_1m', 60_000],
  ['under_1h', 3_600_000],
  ['under_1d', 86_400_000],
  ['over_1d', Infinity],
] as const

export type LatenessBand = (typeof LATENESS_BANDS)[number][0]

/** The band of a sample so far behind the watermark. */
export function latenessBand(lateByMs: number): LatenessBand {
  for (const [band, belowMs] of LATENESS_BANDS) if (lateByMs < belowMs) return band
  return 'over_1d'
}

export const noneLate = (): Record<LatenessBand, number> => ({
  under_1m: 0,
  under_1h: 0,
  under_1d: 0,
  over_1d: 0,
})
