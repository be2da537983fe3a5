/** Turns points into the columns that uPlot draws, with an explicit break at every gap. Pure. */
import type { Point } from '../series/point-series.ts'
import { type Grain, grainWidthMs, type Range } from '../series/span.ts'

type Column = (number | null)[]
/** x (ms, the middle of the window), mean, max, min. */
export type Columns = [number[], Column, Column, Column]

export function columnsOf(points: readonly Point[], grain: Grain, gaps: readonly Range[]): Columns {
  const half = grainWidthMs(grain) / 2
  const columns: Columns = [[], [], [], []]
  let g = 0
  for (const point of points) {
    for (let gap = gaps[g]; gap !== undefined && gap.toMs <= point.start; gap = gaps[++g]) {
      push(columns, (gap.fromMs + gap.toMs) / 2, undefined)
    }
    push(columns, point.start + half, point)
  }
  return columns
}

function push([xs, mean, max, min]: Columns, x: number, point: Point | undefined): void {
  xs.push(x)
  mean.push(point?.mean ?? null)
  max.push(point?.max ?? null)
  min.push(point?.min ?? null)
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
