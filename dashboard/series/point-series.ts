/**
 * The points of one chart, kept by start and replaced by newer versions, so that a snapshot, a live
 * update and a re-fetch can arrive in any order, twice, and still give the same picture.
 */
import type { Rollup, Value } from '../../api/contract/resources.ts'
import type { Grain } from './span.ts'

export type Point = Rollup

/** What a merge changed: `corrected` counts final windows that were replaced by a newer state. */
export type Merged = Readonly<{ changed: number; corrected: number }>

export class PointSeries {
  readonly grain: Grain
  readonly #points = new Map<number, Point>()
  #sorted: readonly Point[] | undefined = []

  constructor(grain: Grain) {
    this.grain = grain
  }

  merge(points: readonly Point[]): Merged {
    let changed = 0
    let corrected = 0
    for (const point of points) {
      const known = this.#points.get(point.start)
      if (known !== undefined && known.version >= point.version) continue
      this.#points.set(point.start, point)
      changed++
      if (known?.final === true) corrected++
    }
    if (changed > 0) this.#sorted = undefined
    return { changed, corrected }
  }

  /** Oldest first. */
  all(): readonly Point[] {
    this.#sorted ??= [...this.#points.values()].sort((a, b) => a.start - b.start)
    return this.#sorted
  }

  /** Forgets what lies before `ms`, so that a chart left open for weeks stays small. */
  forgetBefore(ms: number): void {
    let forgotten = false
    for (const start of this.#points.keys()) {
      if (start < ms) forgotten = this.#points.delete(start) || forgotten
    }
    if (forgotten) this.#sorted = undefined
  }
}

/** A single reading as a point, so that raw stretches are drawn by the same code as windows. */
export function pointOfReading(at: number, value: Value): Point {
  const number = numberOf(value)
  return {
    start: at,
    count: 1,
    sum: number,
    min: number,
    max: number,
    mean: number,
    stddev: number === null ? null : 0,
    timeWeightedMean: number,
    first: value,
    last: value,
    final: true,
    correctedAt: 0,
    version: 0,
  }
}

/** What a value is on a chart: booleans are 0 and 1, text is nothing. */
export function numberOf(value: Value): number | null {
  if (typeof value === 'number') return value
  return typeof value === 'boolean' ? Number(value) : null
}
