/**
 * Folds a stretch of time again from its raw samples, by the same functions as the live
 * windows and the corrections, and writes the rows that come out differently.
 */
import type { RollupSink } from '../sinks/rollup-sink.ts'
import type { RollupRow } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'
import { SketchBuilder } from '../window/sketch-builder.ts'
import { RESOLUTIONS_MS, windowStartMs } from '../window/tumbling-windows.ts'
import { WindowCollector } from '../window/window-collector.ts'
import { RollupRows } from '../window/rollup-row.ts'
import { rowDigest } from './content-digest.ts'
import type { PlacedSeries, RawSampleFold, RawSource } from './raw-samples.ts'
import { RewrittenRows, type WindowCounts } from './rewritten-rows.ts'
import type { Stretch } from './stretches.ts'
import { sameSeries, seriesName, StoredWindows } from './stored-windows.ts'

export type RefoldPorts = Readonly<{
  sink: Pick<RollupSink, 'readRollups' | 'insertRollups'>
  raw: RawSource
  /** The series that are wanted (undefined: all), as `tenant id`. */
  chosen: ReadonlySet<string> | undefined
  dryRun: boolean
  /** C of every partition: windows that end later belong to the pipeline alone. */
  closedToMs: ReadonlyMap<number, number>
}>

export async function refoldStretch(
  stretch: Stretch,
  { counts, ports }: Readonly<{ counts: WindowCounts; ports: RefoldPorts }>,
): Promise<void> {
  const { sink, raw, chosen, dryRun, closedToMs } = ports
  const { startMs, spanMs, partitions } = stretch
  const isClosed = ({ partition, startMs: atMs, resolutionMs }: RollupRow<SeriesRef>): boolean =>
    atMs + resolutionMs <= (closedToMs.get(partition) ?? 0)
  const sizes = await Promise.all(
    RESOLUTIONS_MS.map(async (resolutionMs) => {
      // Versions first: what is read after them holds at least what they promise.
      const stored = await sink.readRollups(
        { childMs: resolutionMs, parentMs: spanMs, partitions, startMs },
        () =>
          new StoredWindows(
            resolutionMs,
            (row) => isClosed(row) && (chosen?.has(seriesName(row.series)) ?? true),
          ),
      )
      const rewritten = new RewrittenRows(sink, { resolutionMs, counts, dryRun })
      return { resolutionMs, stored, rewritten }
    }),
  )
  const refold = new StretchRefold(closedToMs, await raw.kinds(stretch), sizes)
  await raw.read(stretch, refold)
  refold.end()
  for (const { stored, rewritten } of sizes) {
    counts.unexplained += stored.unmet
    await rewritten.write()
  }
}

const JUDGED_AT_ONCE = 1_024

type Size = Readonly<{ resolutionMs: number; stored: StoredWindows; rewritten: RewrittenRows }>
type Open = {
  readonly size: Size
  /** Closed and not compared yet: a batch of rows for each window would cost more than its samples. */
  folded: RollupRows<SeriesRef>
  foldedOffsets: number[]
  readonly collector: WindowCollector
  series: PlacedSeries | undefined
  startMs: number
  newestOffset: number
}

class StretchRefold implements RawSampleFold {
  readonly #closedToMs: ReadonlyMap<number, number>
  readonly #kinds: ReadonlyMap<string, boolean>
  readonly #sketch = new SketchBuilder()
  readonly #open: readonly Open[]
  #series: PlacedSeries | undefined
  #seriesClosedToMs = 0
  /** Undefined: a series that is new, and the pipeline's. */
  #isText: boolean | undefined

  constructor(
    closedToMs: ReadonlyMap<number, number>,
    kinds: ReadonlyMap<string, boolean>,
    sizes: readonly Size[],
  ) {
    this.#closedToMs = closedToMs
    this.#kinds = kinds
    this.#open = sizes.map((size) => ({
      ...{ size, collector: new WindowCollector() },
      ...{ folded: new RollupRows<SeriesRef>(size.resolutionMs), foldedOffsets: [] },
      ...{ series: undefined, startMs: 0, newestOffset: 0 },
    }))
  }

  // oxlint-disable-next-line max-params -- the shape of RawSampleFold
  add(series: PlacedSeries, tsMs: number, value: number, text: string, offset: number): void {
    if (this.#series === undefined || !sameSeries(series, this.#series)) {
      this.finish()
      this.#series = series
      this.#isText = this.#kinds.get(seriesName(series))
      this.#seriesClosedToMs = this.#closedToMs.get(series.partition) ?? 0
    }
    const isText = this.#isText
    if (isText === undefined) return
    for (const open of this.#open) {
      const { resolutionMs } = open.size
      const startMs = windowStartMs(tsMs, resolutionMs)
      if (open.series === undefined || open.startMs !== startMs) {
        this.#close(open)
        if (startMs + resolutionMs > this.#seriesClosedToMs) continue
        open.series = series
        open.startMs = startMs
        open.newestOffset = 0
        open.collector.begin(startMs, isText)
      }
      open.collector.add(tsMs, value, text)
      open.newestOffset = Math.max(open.newestOffset, offset)
    }
  }

  finish(): void {
    for (const open of this.#open) this.#close(open)
  }

  end(): void {
    this.finish()
    for (const open of this.#open) judgeFolded(open)
  }

  #close(open: Open): void {
    const { series, startMs, newestOffset, folded, foldedOffsets } = open
    open.series = undefined
    if (series === undefined) return
    const { partition } = series
    const head = { series, partition, startMs, final: true, correctedAtMs: 0, version: 0 }
    open.collector.writeTo(folded, head, this.#sketch)
    foldedOffsets.push(newestOffset)
    if (folded.count >= JUDGED_AT_ONCE) judgeFolded(open)
  }
}

function judgeFolded(open: Open): void {
  const { size, folded, foldedOffsets } = open
  open.folded = new RollupRows(size.resolutionMs)
  open.foldedOffsets = []
  for (const [row, newestOffset] of foldedOffsets.entries()) {
    const series = folded.series[row]
    if (series === undefined) throw new RangeError(`no row ${row}`)
    const startMs = folded.startsMs[row] ?? NaN
    const digest = rowDigest(folded, row)
    const verdict = size.stored.judge({ series, startMs, digest, newestOffset })
    if (!size.rewritten.count(verdict)) continue
    const { version, correctedAtMs } = verdict
    const { aggregate, ...head } = folded.at(row)
    size.rewritten.rows.addMerged({ ...head, version, correctedAtMs }, aggregate)
  }
}
