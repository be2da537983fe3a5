/** What is told of a window, and what its stored numbers say when they are asked. */
import { quantileOf } from '../../schemas/quantile-sketch.ts'
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'
import type { Rollup, Value } from '../contract/resources.ts'

export type Revision = Readonly<{
  startMs: number
  final: boolean
  correctedAtMs: number
  version: number
}>

/** A value in the type that the device used. Booleans are kept as 0 and 1. */
export function valueOf(kind: SeriesKind, value: number, text: string): Value {
  switch (kind) {
    case 'number':
      return value
    case 'boolean':
      return value !== 0
    case 'text':
      return text
  }
}

/** Infinities and NaN, from sums beyond the range of a 64-bit float, have no word in JSON. */
const told = (value: number): number | null => (Number.isFinite(value) ? value : null)

/** What is told of a window, whether it comes from a table or from the live topic. */
type Numbers = Omit<WindowPart, 'sketch' | 'firstTsMs' | 'lastTsMs'>

/** A window that holds at least one sample; `sampledMs` is from the first of them to the last. */
export function rollupOf(
  kind: SeriesKind,
  part: Numbers,
  at: Revision & Readonly<{ sampledMs: number }>,
): Rollup {
  const { startMs, sampledMs, final, correctedAtMs, version } = at
  const counted = kind !== 'text'
  const number = (value: number): number | null => (counted ? told(value) : null)
  return {
    start: startMs,
    count: part.count,
    sum: number(part.sum),
    min: number(part.min),
    max: number(part.max),
    mean: number(part.sum / part.count),
    stddev: number(Math.sqrt(part.m2 / part.count)),
    // Each value counts for as long as it stood.
    timeWeightedMean: number(sampledMs > 0 ? part.integral / sampledMs : part.last),
    first: valueOf(kind, part.first, part.firstText),
    last: valueOf(kind, part.last, part.lastText),
    final,
    correctedAt: correctedAtMs,
    version,
  }
}

/**
 * Percentiles by their numbers as text. Null where there is nothing to count, as in texts, and in
 * windows with samples that were folded before sketches were kept.
 */
export function percentilesOf(
  part: WindowPart,
  percentiles: readonly number[],
): Record<string, number | null> {
  let sketched = 0
  for (const count of part.sketch.values()) sketched += count
  const whole = sketched === part.count
  return Object.fromEntries(
    percentiles.map((percentile) => {
      const value = whole ? quantileOf(part.sketch, percentile / 100, part) : undefined
      return [String(percentile), value ?? null]
    }),
  )
}

/** Samples that came, as a share of those that were expected; more than expected is 1. */
export const completenessOf = (count: number, expected: number): number =>
  Math.min(1, count / expected)
