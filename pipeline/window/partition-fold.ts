/**
 * The state of one partition: a pure function of log content. Every record is judged whole,
 * against the closed watermark C and the position P from before it; no clock is read, so that a
 * replay, a successor and a zombie decide by the same rules. Flushing is someone else's work:
 * `snapshot` hands over rows, late marks and checkpoint of one moment.
 */
import type { DeadLetterReason } from '../../schemas/dead-letter.ts'
import type { Series as Entry, Telemetry } from '../../schemas/telemetry.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'
import { distrustedToMs, type FoldCheckpoint } from './checkpoint.ts'
import {
  type RecordContext,
  recordContext,
  type RefusedSamples,
  refusalOf,
} from './record-context.ts'
import { repeats } from './record-repeats.ts'
import { type FoldSnapshot, LateMarks, RawRows, type RollupRow } from './rollup-row.ts'
import { Series } from './series.ts'
import { type DeviceSeries, SeriesDirectory } from './series-directory.ts'
import { WindowShelf } from './window-shelf.ts'
import { versionOf } from './window-version.ts'

export type FoldOptions = Readonly<{
  partition: number
  /** L: how far behind the newest event time a window still takes samples. */
  latenessMs: number
  /** A sample older than this when it is appended is refused: its raw rows may have expired. */
  acceptedAgeMs: number
  /** Series kept in memory while they have no open window. */
  idleSeriesMax: number
}>

/** Totals since the fold was made. */
export type FoldCounts = {
  records: number
  samples: number
  replayedRecords: number
  lateSamples: number
  duplicateSamples: number
  refusedSamples: number
}

export const NO_COUNTS: Readonly<FoldCounts> = {
  records: 0,
  samples: 0,
  replayedRecords: 0,
  lateSamples: 0,
  duplicateSamples: 0,
  refusedSamples: 0,
}

export class PartitionFold {
  readonly counts: FoldCounts = { ...NO_COUNTS }
  readonly #options: FoldOptions
  readonly #directory: SeriesDirectory
  readonly #shelf: WindowShelf
  /** P */
  #position: number
  /** C */
  #closedToMs: number
  /** C of the checkpoint we started from: what ends before it was final, and corrected, by then. */
  readonly #restoredClosedToMs: number
  #maxTsMs: number
  #lastAppendMs = 0
  #snapshotPosition: number

  #newSeries: Series[] = []
  #raw: RawRows
  #late = new LateMarks()
  #oldestLateAppendMs = Infinity

  constructor(options: FoldOptions, restored: FoldCheckpoint) {
    this.#options = options
    this.#directory = new SeriesDirectory(options.idleSeriesMax)
    this.#shelf = new WindowShelf(options.partition)
    this.#raw = new RawRows(options.partition)
    this.#position = restored.position
    this.#snapshotPosition = restored.position
    this.#closedToMs = restored.closedToMs
    this.#restoredClosedToMs = restored.closedToMs
    this.#maxTsMs = restored.maxTsMs
  }

  /** P: records before it were folded by us, or were durable when we started. */
  get position(): number {
    return this.#position
  }

  get closedToMs(): number {
    return this.#closedToMs
  }

  get maxTsMs(): number {
    return this.#maxTsMs
  }

  get openWindowCount(): number {
    return this.#shelf.openCount
  }

  /** What a flush would have to hold: raw rows, closed windows and marks. */
  get pendingRows(): number {
    return this.#raw.count + this.#shelf.closedCount + this.#late.count
  }

  /** Folds one record. Answers the samples that must be dead-lettered before P may be committed. */
  accept(record: Telemetry, offset: number, appendMs: number): RefusedSamples | undefined {
    const context = recordContext(record, { offset, appendMs, replay: offset < this.#position })
    this.#acceptSeries(record, context)
    this.#pass(context)
    return context.refused
  }

  /**
   * Passes a record that could not be decoded; it is in the dead letters, whole. While replaying
   * it may have been readable the first time, so the windows it can lie in are left to raw.
   */
  skip(offset: number, appendMs: number): void {
    if (offset < this.#position) {
      this.#leaveToRaw(appendMs)
      return
    }
    this.#position = offset + 1
    this.#lastAppendMs = appendMs
  }

  /**
   * Records up to `nextOffset` are gone unread. What they held may be in raw or nowhere, so every
   * window they could lie in is from now on recomputed from raw.
   */
  distrust(nextOffset: number, largestAppendMs: number): void {
    this.#position = Math.min(this.#position, nextOffset)
    this.#snapshotPosition = -1
    this.#leaveToRaw(largestAppendMs)
  }

  #leaveToRaw(largestAppendMs: number): void {
    this.#closedToMs = Math.max(this.#closedToMs, distrustedToMs(largestAppendMs))
    for (const window of this.#shelf.removeAll()) {
      this.#late.add(window.series, this.#shelf.indexOf(window.resolutionMs), window.startMs)
    }
    this.#oldestLateAppendMs = Math.min(this.#oldestLateAppendMs, largestAppendMs)
  }

  /** Undefined unless P moved since the last snapshot, or since the checkpoint we started from. */
  snapshot(): FoldSnapshot | undefined {
    if (this.#position === this.#snapshotPosition || this.#position === 0) return undefined
    this.#snapshotPosition = this.#position
    const version = versionOf(this.#position - 1)
    const snapshot = {
      partition: this.#options.partition,
      newSeries: this.#newSeries,
      raw: this.#raw,
      rows: this.#shelf.takeUnflushed(version),
      late: this.#late,
      oldestLateAppendMs: this.#oldestLateAppendMs,
      correctionVersion: version,
      correctedAtMs: this.#lastAppendMs,
      checkpoint: {
        resumeOffset: Math.min(this.#position, this.#shelf.firstOffset),
        position: this.#position,
        closedToMs: this.#closedToMs,
        maxTsMs: this.#maxTsMs,
      },
    }
    this.#newSeries = []
    this.#raw = new RawRows(this.#options.partition)
    this.#late = new LateMarks()
    this.#oldestLateAppendMs = Infinity
    return snapshot
  }

  /**
   * The newest state of windows that closed since the last call, ahead of any flush, and on demand
   * of open ones that changed.
   */
  takeUnpublished(withOpen: boolean): RollupRow[] {
    if (this.#position === 0) return []
    return this.#shelf.takeUnpublished(versionOf(this.#position - 1), withOpen)
  }

  #acceptSeries(record: Telemetry, context: RecordContext): void {
    const { numbers, booleans, strings } = record
    if (numbers.length + booleans.length + strings.length === 0) return
    const device = this.#directory.device(record.tenant, record.device)
    for (const entry of numbers) {
      const series = this.#seriesOf(record, device, 'number', entry.metric)
      for (let k = 0; k < entry.v.length; k += 1) {
        this.#take(context, series, timeOf(entry, k), entry.v[k] ?? NaN)
      }
    }
    for (const entry of booleans) {
      const series = this.#seriesOf(record, device, 'boolean', entry.metric)
      for (let k = 0; k < entry.v.length; k += 1) {
        this.#take(context, series, timeOf(entry, k), entry.v[k] === true ? 1 : 0)
      }
    }
    for (const entry of strings) {
      const series = this.#seriesOf(record, device, 'text', entry.metric)
      for (let k = 0; k < entry.v.length; k += 1) {
        this.#take(context, series, timeOf(entry, k), 0, entry.v[k] ?? '')
      }
    }
  }

  #seriesOf(record: Telemetry, device: DeviceSeries, kind: SeriesKind, metric: string): Series {
    const known = device[kind].get(metric)
    if (known !== undefined) return known
    const series = new Series(record.tenant, record.device, metric, kind)
    this.#directory.add(device, series)
    return series
  }

  // oxlint-disable-next-line max-params -- once per sample: an options object would be garbage
  #take(context: RecordContext, series: Series, tsMs: number, value: number, text = ''): void {
    const index = context.sampleIndex
    context.sampleIndex += 1
    const refusal = refusalOf(context, tsMs, value, this.#options.acceptedAgeMs)
    if (refusal !== undefined) {
      this.#refuse(context, index, refusal)
      return
    }
    if (context.seen !== undefined && repeats(context.seen, series, tsMs)) {
      if (!context.replay) this.counts.duplicateSamples += 1
      return
    }
    if (tsMs > context.newestTsMs) context.newestTsMs = tsMs
    if (!context.replay) this.#queueRaw(context, series, tsMs, value, text)
    this.#place(context, series, tsMs, value, text)
  }

  #refuse(context: RecordContext, index: number, reason: DeadLetterReason): void {
    // While replaying, the letter was acknowledged before the commit that we started from.
    if (context.replay) return
    this.counts.refusedSamples += 1
    context.refused ??= { reason, indexes: [] }
    context.refused.indexes.push(index)
  }

  // oxlint-disable-next-line max-params -- once per sample
  #queueRaw(
    context: RecordContext,
    series: Series,
    tsMs: number,
    value: number,
    text: string,
  ): void {
    if (!series.announced) {
      series.announced = true
      this.#newSeries.push(series)
    }
    const raw = this.#raw
    raw.series.push(series)
    raw.tsMs.push(tsMs)
    raw.values.push(value)
    raw.texts.push(text)
    raw.flags.push(context.flags)
    raw.offsets.push(context.offset)
    this.counts.samples += 1
  }

  // oxlint-disable-next-line max-params -- once per sample
  #place(context: RecordContext, series: Series, tsMs: number, value: number, text: string): void {
    let late = false
    let repeated = false
    for (let r = 0; r < this.#shelf.resolutionCount; r += 1) {
      const startMs = this.#shelf.startMs(r, tsMs)
      const endMs = this.#shelf.endMs(r, startMs)
      if (endMs <= this.#closedToMs) {
        // Final, and corrected, before the commit that we started from.
        if (context.replay && endMs <= this.#restoredClosedToMs) continue
        this.#late.add(series, r, startMs)
        late = true
        continue
      }
      const window = this.#shelf.windowAt(series, r, startMs, context.offset)
      if (!window.insert(tsMs, value, text)) repeated = true
      else if (!context.replay) this.#shelf.changed(window)
    }
    if (context.replay) return
    if (repeated) this.counts.duplicateSamples += 1
    if (!late) return
    this.counts.lateSamples += 1
    this.#oldestLateAppendMs = Math.min(this.#oldestLateAppendMs, context.appendMs)
  }

  /** After the whole record: position, watermark, and the windows that this closes. */
  #pass(context: RecordContext): void {
    if (context.replay) {
      this.counts.replayedRecords += 1
      return
    }
    this.counts.records += 1
    this.#position = context.offset + 1
    this.#lastAppendMs = context.appendMs
    this.#maxTsMs = Math.max(this.#maxTsMs, Math.min(context.newestTsMs, context.clampMs))
    this.#closedToMs = Math.max(this.#closedToMs, this.#maxTsMs - this.#options.latenessMs)
    this.#shelf.close(this.#closedToMs, versionOf(context.offset))
    this.#directory.trim()
  }
}

const timeOf = (entry: Entry<unknown>, k: number): number => entry.t0 + (entry.dt[k] ?? NaN)
