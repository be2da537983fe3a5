/**
 * The state of one partition: a pure function of log content. Every record is judged whole,
 * against the closed watermark C and the position P from before it; no clock is read, so that a
 * replay, a successor and a zombie decide by the same rules. Flushing is someone else's work:
 * `snapshot` hands over rows, late marks and checkpoint of one moment.
 */
import type { DeadLetterReason } from '../../schemas/dead-letter.ts'
import type { TelemetryReader } from '../../schemas/telemetry-reader.ts'
import { distrustedToMs, type FoldCheckpoint } from './checkpoint.ts'
import { type FoldSnapshot, LateMarks } from './fold-snapshot.ts'
import { type LatenessBand, latenessBand, noneLate } from './lateness-bands.ts'
import { type NumberedMessage, RawRows } from './raw-rows.ts'
import { RecordContext, type RefusedSamples, refusalOf, repeats } from './record-context.ts'
import type { RowRange } from './rollup-row.ts'
import type { Series } from './series.ts'
import { SeriesDirectory } from './series-directory.ts'
import { RESOLUTIONS_MS, windowStartMs } from './tumbling-windows.ts'
import { WindowShelf } from './window-shelf.ts'
import { versionOf } from './window-version.ts'

export type FoldOptions = Readonly<{
  partition: number
  /** Of the topic, for as long as it exists: whose device's records lie here. */
  partitions: number
  /** L: how far behind the newest event time a window still takes samples. */
  latenessMs: number
  /** A sample older than this when it is appended is refused: its raw rows may have expired. */
  acceptedAgeMs: number
  /** Series kept in memory while they have no open window. */
  idleSeriesMax: number
  /** By which rules this fold folds: FOLD_EPOCH, where no test mixes releases. */
  foldEpoch: number
  /** Of the ids of series; absent: they have none. */
  seriesSalt?: string
}>

/** Totals since the fold was made. */
export type FoldCounts = {
  records: number
  samples: number
  replayedRecords: number
  /** By how far they were behind the watermark C. */
  lateSamples: Record<LatenessBand, number>
  duplicateSamples: number
  refusedSamples: number
}

export const noCounts = (): FoldCounts => ({
  records: 0,
  samples: 0,
  replayedRecords: 0,
  lateSamples: noneLate(),
  duplicateSamples: 0,
  refusedSamples: 0,
})

export class PartitionFold {
  readonly counts = noCounts()
  readonly #options: FoldOptions
  readonly #directory: SeriesDirectory
  readonly #shelf: WindowShelf
  /** P */
  #position: number
  /** C */
  #closedToMs: number
  /** P of the checkpoint we started from; -1 once nothing is replayed any more after a gap. */
  #restoredPosition: number
  /** C of the checkpoint we started from: what ends before it was final, and corrected, by then. */
  readonly #restoredClosedToMs: number
  #maxTsMs: number
  #lastAppendMs = 0
  #snapshotPosition: number
  #cascadedToMs: number
  /** Records from S on that were passed unread, and those that were when we started. */
  #skipped: number[]
  readonly #restoredSkips: ReadonlySet<number>

  /** The series of the record's entries; used again for the next record. */
  readonly #series: Series[] = []
  readonly #context = new RecordContext()
  #newSeries: Series[] = []
  #messages: NumberedMessage[] = []
  #raw: RawRows
  #late = new LateMarks()
  #oldestLateAppendMs = Infinity

  /** One object for a series as long as it is marked: marks of two would be read as one's. */
  readonly #isIdle = (series: Series): boolean =>
    this.#shelf.isIdle(series) && !this.#late.bySeries.has(series)

  constructor(options: FoldOptions, restored: FoldCheckpoint) {
    this.#options = options
    this.#directory = new SeriesDirectory(options.idleSeriesMax, options, options.seriesSalt ?? '')
    this.#shelf = new WindowShelf(options.partition)
    this.#raw = new RawRows(options.partition)
    this.#position = restored.position
    this.#restoredPosition = restored.position
    this.#snapshotPosition = restored.position
    this.#closedToMs = restored.closedToMs
    this.#restoredClosedToMs = restored.closedToMs
    this.#maxTsMs = restored.maxTsMs
    this.#cascadedToMs = restored.cascadedToMs
    this.#skipped = [...(restored.skipped ?? [])]
    this.#restoredSkips = new Set(this.#skipped)
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

  /** End of the oldest window that closed since the last call; undefined when none did. */
  takeOldestClosedEndMs(): number | undefined {
    return this.#shelf.takeOldestClosedEndMs()
  }

  /** Whether the next flush corrects windows. */
  get hasLateMarks(): boolean {
    return this.#late.count > 0
  }

  /** Folds one record. Answers the samples that must be dead-lettered before P may be committed. */
  accept(record: TelemetryReader, offset: number, appendMs: number): RefusedSamples | undefined {
    const series = this.#series
    const isAtHome = record.entryCount === 0 || this.#directory.resolve(record, series)
    const replay = offset < this.#position
    const context = this.#context
    const { acceptedAgeMs } = this.#options
    context.begin(record, series, offset, appendMs, replay, acceptedAgeMs)
    if (isAtHome) {
      this.#takeSamples(record, context)
      if (record.seq >= 0 && !replay) this.#noteMessage(record, context)
    } else this.#refuseAll(record, context)
    this.#pass(context)
    return context.refused
  }

  /** A replay comes to a record that was passed unread: nothing of it may be read now either. */
  wasSkipped(offset: number): boolean {
    if (this.#restoredSkips.size === 0 || offset >= this.#position) return false
    return this.#restoredSkips.has(offset)
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
    this.#skipped.push(offset)
  }

  /**
   * Records up to `nextOffset` are gone unread. What they held may be in raw or nowhere, so every
   * window they could lie in is from now on recomputed from raw.
   */
  distrust(nextOffset: number, largestAppendMs: number): void {
    this.#position = Math.min(this.#position, nextOffset)
    this.#skipped = this.#skipped.filter((offset) => offset < this.#position)
    this.#snapshotPosition = -1
    this.#restoredPosition = -1
    this.#leaveToRaw(largestAppendMs)
  }

  #leaveToRaw(largestAppendMs: number): void {
    this.#closedToMs = Math.max(this.#closedToMs, distrustedToMs(largestAppendMs))
    this.#cascadedToMs = 0
    let oldestMs = largestAppendMs
    this.#shelf.removeAll((series, r, startMs) => {
      this.#late.add(series, r, startMs)
      // Whoever slept may hold windows whose raw rows are gone: as old as records could carry them.
      oldestMs = Math.min(oldestMs, startMs + this.#options.acceptedAgeMs)
    })
    this.#oldestLateAppendMs = Math.min(this.#oldestLateAppendMs, oldestMs)
  }

  /**
   * Undefined unless P moved since the last snapshot, or since the checkpoint we started from.
   * Rows of open windows are only for readers: who is far behind leaves them out.
   */
  snapshot(withOpen = true): FoldSnapshot | undefined {
    if (this.#position === this.#snapshotPosition || this.#position === 0) return undefined
    this.#snapshotPosition = this.#position
    const version = this.#versionOf(this.#position - 1)
    const rollups = this.#shelf.takeUnflushed(version, withOpen)
    const resumeOffset = Math.min(this.#position, this.#shelf.firstOffset)
    this.#skipped = this.#skipped.filter((offset) => offset >= resumeOffset)
    const snapshot = {
      partition: this.#options.partition,
      newSeries: this.#newSeries,
      messages: this.#messages,
      raw: this.#raw,
      rollups,
      late: this.#late,
      oldestLateAppendMs: this.#oldestLateAppendMs,
      correctionVersion: version,
      correctedAtMs: this.#lastAppendMs,
      cascadedToMs: this.#cascadedToMs,
      checkpoint: {
        resumeOffset,
        position: this.#position,
        closedToMs: this.#closedToMs,
        maxTsMs: this.#maxTsMs,
        cascadedToMs: this.#closedToMs,
        ...(this.#skipped.length > 0 ? { skipped: [...this.#skipped] } : {}),
      },
    }
    this.#cascadedToMs = this.#closedToMs
    this.#newSeries = []
    this.#messages = []
    this.#raw = new RawRows(this.#options.partition, this.#raw.count)
    this.#late = new LateMarks()
    this.#oldestLateAppendMs = Infinity
    return snapshot
  }

  /** The last snapshot's commit was refused: the next flush comes even when P stays where it is. */
  repeatCommit(): void {
    // While replaying, what P stands for is not in the windows yet: S would be wrong.
    if (this.#position > this.#restoredPosition) this.#snapshotPosition = -1
  }

  /**
   * The newest state of windows that closed since the last call, ahead of any flush, and on demand
   * of open ones that changed.
   */
  takeUnpublished(withOpen: boolean): RowRange[] {
    if (this.#position === 0) return []
    return this.#shelf.takeUnpublished(this.#versionOf(this.#position - 1), withOpen)
  }

  #versionOf(offset: number): number {
    return versionOf(offset, this.#options.foldEpoch)
  }

  #takeSamples(record: TelemetryReader, context: RecordContext): void {
    const { entryCount, sampleEnd, tsMs, values } = record
    let k = 0
    for (let entry = 0; entry < entryCount; entry += 1) {
      const series = this.#series[entry]
      for (const end = sampleEnd[entry] ?? 0; k < end; k += 1) {
        const ts = tsMs[k] ?? NaN
        const value = values[k] ?? NaN
        // What is usual is seen here; whatever is not goes the long way.
        if (ts >= context.oldestMs && ts <= context.newestMs && value - value === 0) {
          if (series !== undefined) this.#take(context, series, record, k)
        } else this.#refuse(context, k, refusalOf(context, ts, value))
      }
    }
  }

  /** Takes sample k. Its numbers stay in their arrays: handed over they would become objects. */
  // oxlint-disable-next-line max-params -- once per sample: an options object would be garbage
  #take(context: RecordContext, series: Series, record: TelemetryReader, k: number): void {
    const tsMs = record.tsMs[k] ?? NaN
    if (context.seen !== undefined && repeats(context.seen, series, tsMs)) {
      if (!context.replay) this.counts.duplicateSamples += 1
      return
    }
    if (tsMs > context.newestTsMs) context.newestTsMs = tsMs
    if (!context.replay) this.#queueRaw(context, series, record, k)
    this.#place(context, series, record, k)
  }

  #refuse(context: RecordContext, index: number, reason: DeadLetterReason): void {
    // While replaying, the letter was acknowledged before the commit that we started from.
    if (context.replay) return
    this.counts.refusedSamples += 1
    context.refused ??= { reason, indexes: [] }
    context.refused.indexes.push(index)
  }

  /**
   * The device's other records lie in another partition. Whoever folds that one cannot know of
   * this record: of two windows that each hold a part, one would overwrite the other.
   */
  #refuseAll(record: TelemetryReader, context: RecordContext): void {
    for (let k = 0; k < record.sampleCount; k += 1) this.#refuse(context, k, 'partition_wrong')
  }

  #noteMessage(record: TelemetryReader, { offset }: RecordContext): void {
    const { tenant, device, seq, recvTs } = record
    const { partition } = this.#options
    this.#messages.push({ tenant, device, seq, recvTs, partition, offset })
  }

  // oxlint-disable-next-line max-params -- once per sample
  #queueRaw(context: RecordContext, series: Series, record: TelemetryReader, k: number): void {
    if (!series.announced) {
      series.announced = true
      this.#newSeries.push(series)
    }
    const raw = this.#raw
    if (series.kind === 'text') raw.texts.set(raw.count, record.texts[k] ?? '')
    if (context.shiftMs !== 0) raw.shiftsMs.set(raw.count, context.shiftMs)
    raw.addFrom(record, k, series, context.offset, context.flags)
    this.counts.samples += 1
  }

  // oxlint-disable-next-line max-params -- once per sample
  #place(context: RecordContext, series: Series, record: TelemetryReader, k: number): void {
    const tsMs = record.tsMs[k] ?? NaN
    let late = false
    let repeated = false
    for (let r = 0; r < RESOLUTIONS_MS.length; r += 1) {
      // A window that holds a time after C ends after C.
      if (tsMs < this.#closedToMs && this.#isClosed(r, tsMs)) {
        late = this.#markLate(context, series, r, tsMs) || late
        continue
      }
      const slot = this.#shelf.put(series, r, record, k, context.offset)
      if (slot < 0) repeated = true
      else if (!context.replay) this.#shelf.changed(slot)
    }
    if (context.replay) return
    if (repeated) this.counts.duplicateSamples += 1
    if (!late) return
    this.counts.lateSamples[latenessBand(this.#closedToMs - tsMs)] += 1
    this.#oldestLateAppendMs = Math.min(this.#oldestLateAppendMs, context.appendMs)
  }

  #isClosed(resolution: number, tsMs: number): boolean {
    return endOf(resolution, tsMs) <= this.#closedToMs
  }

  #markLate(context: RecordContext, series: Series, resolution: number, tsMs: number): boolean {
    // Final, and corrected, before the commit that we started from.
    if (context.replay && endOf(resolution, tsMs) <= this.#restoredClosedToMs) return false
    this.#late.add(series, resolution, windowStartMs(tsMs, RESOLUTIONS_MS[resolution] ?? NaN))
    return true
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
    if (this.#closedToMs >= this.#shelf.earliestEndMs) {
      this.#shelf.close(this.#closedToMs, this.#versionOf(context.offset))
    }
    this.#directory.trim(this.#isIdle)
  }
}

const endOf = (resolution: number, tsMs: number): number => {
  const sizeMs = RESOLUTIONS_MS[resolution] ?? NaN
  return windowStartMs(tsMs, sizeMs) + sizeMs
}
