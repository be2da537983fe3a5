/**
 * Hours and days: merged from their minutes and hours as the tables hold them, never from memory,
 * because only the tables know what other owners of the partition have written. Written when they
 * have ended, and again when one of their children was corrected; an open one is never written.
 */
import { emptyWindowState, mergeInto, type WindowState } from '../schemas/window-merge.ts'
import { bundled } from './late-recompute.ts'
import type { Cascade, RollupSink, RowFold, SeriesCells } from './sinks/rollup-sink.ts'
import type { SettledSnapshot } from './window/fold-snapshot.ts'
import { type RollupRow, RollupRows } from './window/rollup-row.ts'
import type { SeriesRef } from './window/series.ts'
import { CASCADES, RESOLUTIONS_MS, windowStartMs } from './window/tumbling-windows.ts'

/** A week of hours. */
const PARENTS_PER_READ = 168
/** Rows held while others are being read. */
const ROWS_MAX = 20_000
/** The children of hours; what is corrected there is corrected in hours and days. */
const MINUTE_INDEX = RESOLUTIONS_MS.indexOf(CASCADES[0].childMs)

/** Resolves with the number of rows written. The minutes of the snapshot must be durable. */
export async function writeCascades(snapshot: SettledSnapshot, sink: RollupSink): Promise<number> {
  let written = 0
  for (const cascade of CASCADES) {
    written += await writeEnded(snapshot, cascade, sink)
    written += await writeCorrected(snapshot, cascade, sink)
  }
  return written
}

/** Starts of the parents that ended in (C of the last commit, C]. */
const endedRange = ({ cascadedToMs, checkpoint }: SettledSnapshot, parentMs: number) => ({
  fromMs: windowStartMs(cascadedToMs, parentMs),
  toMs: windowStartMs(checkpoint.closedToMs, parentMs),
})

async function writeEnded(
  snapshot: SettledSnapshot,
  cascade: Cascade,
  sink: RollupSink,
): Promise<number> {
  const { fromMs, toMs } = endedRange(snapshot, cascade.parentMs)
  if (fromMs >= toMs) return 0
  const partitions = [snapshot.partition]
  let written = 0
  const starts = await sink.parentStarts({ ...cascade, partitions, fromMs, toMs })
  for (const { startMs, endMs } of stretches(starts, cascade.parentMs)) {
    const begin = (): ParentFold => new ParentFold({ snapshot, cascade, sink, corrected: false })
    const fold = await sink.readRollups({ ...cascade, partitions, startMs, endMs }, begin)
    written += await fold.finish()
  }
  return written
}

/**
 * Stretches of time that hold all of these parents. After a long upload thousands have ended, and
 * a question for each would take minutes; one for all would open hundreds of table partitions.
 */
export function* stretches(
  starts: readonly number[],
  parentMs: number,
): Generator<Readonly<{ startMs: number; endMs: number }>> {
  let startMs: number | undefined
  let endMs = 0
  for (const each of starts) {
    if (startMs !== undefined && each + parentMs - startMs > PARENTS_PER_READ * parentMs) {
      yield { startMs, endMs }
      startMs = undefined
    }
    startMs ??= each
    endMs = each + parentMs
  }
  if (startMs !== undefined) yield { startMs, endMs }
}

async function writeCorrected(
  snapshot: SettledSnapshot,
  cascade: Cascade,
  sink: RollupSink,
): Promise<number> {
  let written = 0
  for (const cells of bundled(correctedParents(snapshot, cascade.parentMs))) {
    const begin = (): ParentFold => new ParentFold({ snapshot, cascade, sink, corrected: true })
    const fold = await sink.readRollups({ ...cascade, cells }, begin)
    written += await fold.finish()
  }
  return written
}

/** Parents that had ended by the last commit, and hold a minute that was corrected now. */
function* correctedParents(
  snapshot: SettledSnapshot,
  parentMs: number,
): Generator<SeriesCells<SeriesRef>> {
  const { fromMs } = endedRange(snapshot, parentMs)
  for (const [series, starts] of snapshot.late.bySeries) {
    const parents = new Set<number>()
    for (const startMs of starts[MINUTE_INDEX] ?? []) {
      const parent = windowStartMs(startMs, parentMs)
      if (parent < fromMs) parents.add(parent)
    }
    if (parents.size > 0) yield { series, cellStartsMs: [...parents].sort((a, b) => a - b) }
  }
}

type ParentOptions = Readonly<{
  snapshot: SettledSnapshot
  cascade: Cascade
  sink: RollupSink
  corrected: boolean
}>

/** Merges children, which come in the order of their series and starts, into their parents. */
class ParentFold implements RowFold {
  readonly #options: ParentOptions
  #rows: RollupRows<SeriesRef>
  #written = 0
  #series: SeriesRef | undefined
  #startMs = 0
  #state: WindowState = emptyWindowState()

  constructor(options: ParentOptions) {
    this.#options = options
    this.#rows = new RollupRows(options.cascade.parentMs)
  }

  add({ series, startMs, aggregate }: RollupRow<SeriesRef>): void {
    const parentStartMs = windowStartMs(startMs, this.#options.cascade.parentMs)
    if (!this.#continues(series, parentStartMs)) {
      this.#close()
      this.#series = series
      this.#startMs = parentStartMs
      this.#state = emptyWindowState()
    }
    mergeInto(this.#state, aggregate)
  }

  async relieve(): Promise<void> {
    if (this.#rows.count < ROWS_MAX) return
    await this.#write()
  }

  async finish(): Promise<number> {
    this.#close()
    await this.#write()
    return this.#written
  }

  async #write(): Promise<void> {
    const rows = this.#rows
    if (rows.count === 0) return
    this.#rows = new RollupRows(this.#options.cascade.parentMs)
    await this.#options.sink.insertRollups([rows])
    this.#written += rows.count
  }

  #continues({ tenant, id }: SeriesRef, startMs: number): boolean {
    const open = this.#series
    if (open === undefined || this.#startMs !== startMs) return false
    return open.id.high === id.high && open.id.low === id.low && open.tenant === tenant
  }

  #close(): void {
    const series = this.#series
    const { snapshot, corrected } = this.#options
    if (series === undefined) return
    this.#series = undefined
    const head = {
      series,
      partition: snapshot.partition,
      startMs: this.#startMs,
      final: true,
      correctedAtMs: corrected ? snapshot.correctedAtMs : 0,
      version: snapshot.correctionVersion,
    }
    this.#rows.addMerged(head, this.#state)
  }
}
