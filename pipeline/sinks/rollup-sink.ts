/**
 * The port to the tables. Every insert may be repeated, with the same rows or newer ones, in any
 * order and by several writers at once: rows are absolute and the highest version wins. A call
 * resolves when its rows are durable and visible to `readSamples`; it rejects with a Failure whose
 * `retry` says whether the very same call may succeed later.
 */
import type { RawRows, RollupRow } from '../window/rollup-row.ts'
import type { Series } from '../window/series.ts'

/** The cells (CELL_MS wide, by their starts in ascending order) to read of one series. */
export type SeriesCells = Readonly<{ series: Series; cellStartsMs: readonly number[] }>

// One call per stored sample: an object for each would be garbage.
export type SampleVisitor = (series: Series, tsMs: number, value: number, text: string) => void

export interface RollupSink {
  insertSeries(series: readonly Series[]): Promise<void>
  /** Those of the given series whose id another name of the same tenant has as well. */
  collisions(series: readonly Series[]): Promise<readonly string[]>
  insertSamples(batches: readonly RawRows[]): Promise<void>
  /** All rows are of one resolution. */
  insertRollups(resolutionMs: number, rows: readonly RollupRow[]): Promise<void>
  /** Visits the samples of these cells, de-duplicated, each series in the order of time. */
  readSamples(cells: readonly SeriesCells[], visit: SampleVisitor): Promise<void>
}
