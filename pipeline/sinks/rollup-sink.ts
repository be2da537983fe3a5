/**
 * The port to the tables. Every insert may be repeated, with the same rows or newer ones, in any
 * order and by several writers at once: rows are absolute and the highest version wins. A call
 * resolves when its rows are durable and visible to the reads; it rejects with a Failure whose
 * `retry` says whether the very same call may succeed later. A read that breaks off begins anew,
 * with a fold of its own from `begin`.
 */
import type { NumberedMessage, RawRows } from '../window/raw-rows.ts'
import type { RollupRow, RollupRows } from '../window/rollup-row.ts'
import type { Series, SeriesRef } from '../window/series.ts'

/** Some cells of one series: windows by their starts, in ascending order. */
export type SeriesCells<S extends SeriesRef = Series> = Readonly<{
  series: S
  cellStartsMs: readonly number[]
}>

/** Takes samples series by series, each series in the order of time. */
export interface SampleFold {
  // One call per stored sample: an object for each would be garbage.
  add(series: Series, tsMs: number, value: number, text: string): void
}

/** Takes rows series by series, each series in the order of time. */
export interface RowFold {
  add(row: RollupRow<SeriesRef>): void
  /** Asked between bundles of rows: what has gathered may be written. */
  relieve(): Promise<void>
}

/** Windows of one size that lie in windows of another, which are merged from them. */
export type Cascade = Readonly<{ childMs: number; parentMs: number }>
/**
 * The children of neighbouring parent windows, one where no end is given, of all series of some
 * partitions; or of some parents of some series.
 */
export type ChildQuery = Cascade &
  (
    | Readonly<{ partitions: readonly number[]; startMs: number; endMs?: number }>
    | Readonly<{ cells: readonly SeriesCells<SeriesRef>[] }>
  )
export type ParentQuery = Cascade &
  Readonly<{ partitions: readonly number[]; fromMs: number; toMs: number }>

export interface RollupSink {
  insertSeries(series: readonly Series[]): Promise<void>
  /** Those of the given series whose id another name of the same tenant has as well. */
  collisions(series: readonly Series[]): Promise<readonly string[]>
  insertSamples(batches: readonly RawRows[]): Promise<void>
  insertMessages(messages: readonly NumberedMessage[]): Promise<void>
  /** Rows of one resolution. */
  insertRollups(batches: readonly RollupRows<SeriesRef>[]): Promise<void>
  /** The samples of these cells (CELL_MS wide), de-duplicated. */
  readSamples<F extends SampleFold>(cells: readonly SeriesCells[], begin: () => F): Promise<F>
  /** Starts of the parent windows in [fromMs, toMs) that have children, in ascending order. */
  parentStarts(query: ParentQuery): Promise<readonly number[]>
  /** The newest versions of child rows, ordered by series and start. */
  readRollups<F extends RowFold>(query: ChildQuery, begin: () => F): Promise<F>
}

/** The same sink, with something done around every call of it. */
export function aroundEach(
  sink: RollupSink,
  around: <T>(call: () => Promise<T>) => Promise<T>,
): RollupSink {
  return {
    insertSeries: (series) => around(() => sink.insertSeries(series)),
    collisions: (series) => around(() => sink.collisions(series)),
    insertSamples: (batches) => around(() => sink.insertSamples(batches)),
    insertMessages: (messages) => around(() => sink.insertMessages(messages)),
    insertRollups: (batches) => around(() => sink.insertRollups(batches)),
    readSamples: (cells, begin) => around(() => sink.readSamples(cells, begin)),
    parentStarts: (query) => around(() => sink.parentStarts(query)),
    readRollups: (query, begin) => around(() => sink.readRollups(query, begin)),
  }
}
