/** Which resolutions there are, which table answers them, and which one fits a span. */
import { RESOLUTIONS, type Resolution } from '../contract/resources.ts'

const MS: Readonly<Record<Resolution, number>> = {
  '10s': 10_000,
  '1m': 60_000,
  '15m': 900_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '1d': 86_400_000,
}

export const resolutionMs = (resolution: Resolution): number => MS[resolution]

/** The table whose rows are, or make up, the windows of a resolution, and its rows' length. */
export function sourceOf(resolution: Resolution): Readonly<{ table: string; rowMs: number }> {
  return resolution === '10s'
    ? { table: 'rollup_10s', rowMs: MS['10s'] }
    : { table: 'rollup_1m', rowMs: MS['1m'] }
}

/** The finest resolution with at most `pointsMax` windows in the span; the coarsest if none. */
export function finestFor(spanMs: number, pointsMax: number): Resolution {
  return RESOLUTIONS.find((resolution) => spanMs / MS[resolution] <= pointsMax) ?? '1d'
}

export const resolutionNamed = (text: string): Resolution | undefined =>
  RESOLUTIONS.find((resolution) => resolution === text)
