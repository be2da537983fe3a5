/**
 * Merges hours and days again from their children as the tables hold them now, and writes those
 * that come out differently, at the offset of the version that was there before the children were
 * read.
 */
import { emptyWindowState, mergeInto, type WindowState } from '../../schemas/window-merge.ts'
import type { Cascade, RollupSink, RowFold } from '../sinks/rollup-sink.ts'
import type { RollupRow } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'
import { windowStartMs } from '../window/tumbling-windows.ts'
import { RewrittenRows, type WindowCounts } from './rewritten-rows.ts'
import { offsetOf, StoredWindows, windowKey } from './stored-windows.ts'

export type ParentRange = Readonly<{
  partition: number
  /** [fromMs, toMs), whole parents, all of them ended. */
  fromMs: number
  toMs: number
}>

type Ports = Readonly<{
  sink: Pick<RollupSink, 'readRollups' | 'insertRollups' | 'parentStarts'>
  wanted(series: SeriesRef): boolean
  dryRun: boolean
}>

export async function remergeParents(
  cascade: Cascade,
  { partition, fromMs, toMs }: ParentRange,
  { counts, ports }: Readonly<{ counts: WindowCounts; ports: Ports }>,
): Promise<void> {
  const { sink, wanted, dryRun } = ports
  const { parentMs } = cascade
  const partitions = [partition]
  for (const startMs of await sink.parentStarts({ ...cascade, partitions, fromMs, toMs })) {
    const own = { childMs: parentMs, parentMs, partitions, startMs }
    const stored = await sink.readRollups(own, () => new StoredWindows(wanted))
    const rewritten = new RewrittenRows(sink, { resolutionMs: parentMs, counts, dryRun })
    const query = { ...cascade, partitions, startMs }
    const begin = () => new ParentRemerge({ parentMs, partition, stored, rewritten, wanted })
    const merged = await sink.readRollups(query, begin)
    merged.finish()
    counts.withoutSamples += stored.unmet
    await rewritten.write()
  }
}

type RemergeParts = Readonly<{
  parentMs: number
  partition: number
  stored: StoredWindows
  rewritten: RewrittenRows
  wanted(series: SeriesRef): boolean
}>

class ParentRemerge implements RowFold {
  readonly #parts: RemergeParts
  #series: SeriesRef | undefined
  #startMs = 0
  #newestOffset = 0
  #state: WindowState = emptyWindowState()

  constructor(parts: RemergeParts) {
    this.#parts = parts
  }

  add({ series, startMs, aggregate, version }: RollupRow<SeriesRef>): void {
    const parentStartMs = windowStartMs(startMs, this.#parts.parentMs)
    const key = windowKey(series, parentStartMs)
    if (this.#series === undefined || windowKey(this.#series, this.#startMs) !== key) {
      this.finish()
      this.#series = series
      this.#startMs = parentStartMs
      this.#newestOffset = 0
      this.#state = emptyWindowState()
    }
    mergeInto(this.#state, aggregate)
    this.#newestOffset = Math.max(this.#newestOffset, offsetOf(version))
  }

  async relieve(): Promise<void> {}

  finish(): void {
    const { partition, stored, rewritten, wanted } = this.#parts
    const [series, startMs, state] = [this.#series, this.#startMs, this.#state]
    this.#series = undefined
    if (series === undefined || !wanted(series)) return
    const verdict = stored.judge(windowKey(series, startMs), state, this.#newestOffset)
    if (!rewritten.count(verdict)) return
    const { version, correctedAtMs } = verdict
    rewritten.rows.addMerged(
      { series, partition, startMs, final: true, correctedAtMs, version },
      state,
    )
  }
}
