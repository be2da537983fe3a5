/**
 * Merges hours and days again from their children as the tables hold them now, and writes those
 * that come out differently, at the offset of the version that was there before the children were
 * read.
 */
import { DAY_MS } from '../../schemas/telemetry.ts'
import { emptyWindowState, mergeInto, type WindowState } from '../../schemas/window-merge.ts'
import type { Cascade, RollupSink, RowFold } from '../sinks/rollup-sink.ts'
import type { RollupRow } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'
import { windowStartMs } from '../window/tumbling-windows.ts'
import { contentDigest } from './content-digest.ts'
import { RewrittenRows, type WindowCounts } from './rewritten-rows.ts'
import { offsetOf, sameWindow, StoredWindows } from './stored-windows.ts'

type ParentRange = Readonly<{
  /** [fromMs, toMs), whole parents. */
  fromMs: number
  toMs: number
  /** C of every partition: parents that end later are the pipeline's. */
  closedToMs: ReadonlyMap<number, number>
  /** Days that are read by parent and partition, not as a whole. */
  largeDays: ReadonlySet<number>
}>

type Ports = Readonly<{
  sink: Pick<RollupSink, 'readRollups' | 'insertRollups' | 'parentStarts'>
  wanted(series: SeriesRef): boolean
  dryRun: boolean
  progress(done: number, all: number): void
}>

export async function remergeParents(
  cascade: Cascade,
  range: ParentRange,
  { counts, ports }: Readonly<{ counts: WindowCounts; ports: Ports }>,
): Promise<void> {
  const { sink, wanted, dryRun, progress } = ports
  const { parentMs } = cascade
  const { fromMs, toMs, closedToMs } = range
  const isOurs = (startMs: number, partition: number): boolean =>
    startMs >= fromMs && startMs + parentMs <= Math.min(toMs, closedToMs.get(partition) ?? 0)
  const partitions = [...closedToMs.keys()]
  const starts = await sink.parentStarts({ ...cascade, partitions, fromMs, toMs })
  const stretches = stretchesOfParents(starts, parentMs, range)
  for (const [done, { spanMs, ...where }] of stretches.entries()) {
    const own = { childMs: parentMs, parentMs: spanMs, ...where }
    const isStored = (row: RollupRow<SeriesRef>): boolean =>
      isOurs(row.startMs, row.partition) && wanted(row.series)
    const stored = await sink.readRollups(own, () => new StoredWindows(parentMs, isStored))
    const rewritten = new RewrittenRows(sink, { resolutionMs: parentMs, counts, dryRun })
    const query = { childMs: cascade.childMs, parentMs: spanMs, ...where }
    const begin = () => new ParentRemerge({ parentMs, stored, rewritten, wanted, isOurs })
    const merged = await sink.readRollups(query, begin)
    merged.finish()
    counts.unexplained += stored.unmet
    await rewritten.write()
    progress(done + 1, stretches.length)
  }
}

type ParentStretch = Readonly<{ partitions: readonly number[]; startMs: number; spanMs: number }>

/** Whole days where they are small; else each parent of each partition. */
function stretchesOfParents(
  starts: readonly number[],
  parentMs: number,
  { largeDays, closedToMs }: ParentRange,
): ParentStretch[] {
  const partitions = [...closedToMs.keys()]
  const days = new Set<number>()
  return starts.flatMap((startMs) => {
    const day = windowStartMs(startMs, DAY_MS)
    if (largeDays.has(day)) {
      return partitions.map((one) => ({ partitions: [one], startMs, spanMs: parentMs }))
    }
    if (days.has(day)) return []
    days.add(day)
    return [{ partitions, startMs: day, spanMs: DAY_MS }]
  })
}

type RemergeParts = Readonly<{
  parentMs: number
  isOurs(startMs: number, partition: number): boolean
  stored: StoredWindows
  rewritten: RewrittenRows
  wanted(series: SeriesRef): boolean
}>

class ParentRemerge implements RowFold {
  readonly #parts: RemergeParts
  #series: SeriesRef | undefined
  #startMs = 0
  #partition = 0
  #newestOffset = 0
  #state: WindowState = emptyWindowState()

  constructor(parts: RemergeParts) {
    this.#parts = parts
  }

  add({ series, startMs, aggregate, version, partition }: RollupRow<SeriesRef>): void {
    const parentStartMs = windowStartMs(startMs, this.#parts.parentMs)
    if (!this.#parts.isOurs(parentStartMs, partition)) return
    const own = this.#series && { series: this.#series, startMs: this.#startMs }
    if (own === undefined || !sameWindow(own, { series, startMs: parentStartMs })) {
      this.finish()
      this.#series = series
      this.#startMs = parentStartMs
      this.#partition = partition
      this.#newestOffset = 0
      this.#state = emptyWindowState()
    }
    mergeInto(this.#state, aggregate)
    this.#newestOffset = Math.max(this.#newestOffset, offsetOf(version))
  }

  async relieve(): Promise<void> {}

  finish(): void {
    const { stored, rewritten, wanted } = this.#parts
    const [series, startMs, state] = [this.#series, this.#startMs, this.#state]
    this.#series = undefined
    if (series === undefined || !wanted(series)) return
    const newestOffset = this.#newestOffset
    const verdict = stored.judge({ series, startMs, digest: contentDigest(state), newestOffset })
    if (!rewritten.count(verdict)) return
    const { version, correctedAtMs } = verdict
    rewritten.rows.addMerged(
      { series, partition: this.#partition, startMs, final: true, correctedAtMs, version },
      state,
    )
  }
}
