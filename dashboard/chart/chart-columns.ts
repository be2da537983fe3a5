/** Turns points into the columns that uPlot draws, with an explicit break at every gap. Pure. */
import type { Point } from '../series/point-series.ts'
import { type Grain, grainWidthMs, type Range } from '../series/span.ts'

type Column = (number | null)[]
/** What the band behind the line spans: all values, or the mean and the deviation to both sides. */
export type Band = 'extremes' | 'deviation'
/** x (ms, the middle of the window), mean, upper and lower edge of the band. */
export type Columns = [number[], Column, Column, Column]

export function columnsOf(
  points: readonly Point[],
  { grain, gaps, band }: Readonly<{ grain: Grain; gaps: readonly Range[]; band: Band }>,
): Columns {
  const half = grainWidthMs(grain) / 2
  const edges = band === 'extremes' ? extremes : deviation
  const columns: Columns = [[], [], [], []]
  let g = 0
  for (const point of points) {
    for (let gap = gaps[g]; gap !== undefined && gap.toMs <= point.start; gap = gaps[++g]) {
      push(columns, (gap.fromMs + gap.toMs) / 2, [null, null, null])
    }
    push(columns, point.start + half, edges(point))
  }
  return columns
}

type Drawn = readonly [mean: number | null, upper: number | null, lower: number | null]

const extremes = ({ mean, max, min }: Point): Drawn => [mean, max, min]

const deviation = ({ mean, stddev }: Point): Drawn =>
  mean === null || stddev === null ? [mean, null, null] : [mean, mean + stddev, mean - stddev]

function push([xs, means, uppers, lowers]: Columns, x: number, [mean, upper, lower]: Drawn): void {
  xs.push(x)
  means.push(mean)
  uppers.push(upper)
  lowers.push(lower)
}

/** The points with nothing on either side: a line alone would leave them invisible. */
export function lonelyIndices(column: readonly (number | null)[]): number[] {
  const lonely: number[] = []
  for (const [i, value] of column.entries()) {
    if (value === null) continue
    if ((column[i - 1] ?? null) === null && (column[i + 1] ?? null) === null) lonely.push(i)
  }
  return lonely
}
