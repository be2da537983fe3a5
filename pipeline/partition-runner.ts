/**
 * Owns one partition while it is ours: decodes its records into the fold, dead-letters what cannot
 * be counted, and hands flushes to whoever writes them. Nothing here waits for the tables.
 */
import type { Assignment, LogBatch, LogConsumer, LogRecord } from '../platform/kafka/log.ts'
import type { DeadLetterStage } from '../schemas/dead-letter.ts'
import type { FrameFault, TelemetryFrames } from '../schemas/telemetry-frames.ts'
import type { DeadLetterWriter, DeadLetterStory } from './dead-letters/dead-letter-writer.ts'
import { CRASHES_MAX, type QuarantineReason } from './dead-letters/crash-journal.ts'
import { REPLAY_HEADERS } from './dead-letters/letter.ts'
import { type GuardPorts, PartitionGuard, type Refusal } from './dead-letters/partition-guard.ts'
import { questionName } from './dead-letters/unknown-schemas.ts'
import { checkpointMetadata, type FoldCheckpoint } from './window/checkpoint.ts'
import { type FoldOptions, PartitionFold } from './window/partition-fold.ts'
import type { RefusedSamples } from './window/record-context.ts'
import type { PartitionFlush } from './write-flush.ts'

export type RunnerPorts = Readonly<{
  consumer: Pick<LogConsumer, 'commit'>
  frames: TelemetryFrames
  deadLetters: Pick<DeadLetterWriter, 'write'>
  guard: GuardPorts
  /** The largest append time in the partition's log so far; undefined: nobody wants to know now. */
  largestAppendMs(partition: number): Promise<number | undefined>
  deadLettered(reason: DeadLetterStory['reason']): void
}>

/** Rough cost of a pending row, samples and windows alike, until its flush is over. */
const ROW_BYTES = 150
const FAR_BEHIND_RECORDS = 20_000

export class PartitionRunner {
  readonly fold: PartitionFold
  assignment: Assignment
  /** Records between what was read and the end of the log, as of the last batch. */
  lagRecords = 0
  readonly #ports: RunnerPorts
  readonly #guard: PartitionGuard
  #nextOffset: number
  #letters: Promise<void>[] = []
  #unflushedBytes = 0

  constructor(
    ports: RunnerPorts,
    options: FoldOptions,
    start: Readonly<{ assignment: Assignment; checkpoint: FoldCheckpoint }>,
  ) {
    this.#ports = ports
    this.assignment = start.assignment
    this.fold = new PartitionFold(options, start.checkpoint)
    const { resumeOffset } = start.checkpoint
    const { topic, partition } = start.assignment
    this.#nextOffset = resumeOffset
    this.#guard = new PartitionGuard(ports.guard, { topic, partition, resumeOffset })
  }

  get partition(): number {
    return this.assignment.partition
  }

  /** Then readers are told of windows when they close, and not of every step before. */
  get isFarBehind(): boolean {
    return this.lagRecords > FAR_BEHIND_RECORDS
  }

  /** Where to read on. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Folds a batch; answers by how many bytes that raised what the next flush holds. */
  async take(batch: LogBatch): Promise<number> {
    const { firstOffset } = batch
    if (firstOffset > this.#nextOffset && !(await this.#passGap(firstOffset))) return 0
    const unknownIds = new Set<string>()
    let grown = 0
    while (!this.#guard.stopped) {
      const before = this.fold.pendingRows
      const refusal = this.#takeSome(batch, unknownIds)
      grown += Math.max(0, this.fold.pendingRows - before) * ROW_BYTES
      if (refusal === undefined) break
      await this.#clear(refusal, unknownIds)
    }
    this.lagRecords = Math.max(0, batch.endOffset - this.#nextOffset)
    this.#unflushedBytes += grown
    return grown
  }

  /** Ends what take() waits for. Records that it has not passed are the next owner's. */
  stop(): void {
    this.#guard.stop()
  }

  /** Our ownership ends as it should: nobody has to look for a record that killed us. */
  close(): void {
    this.#guard.close()
  }

  /** Whoever takes this partition next dead-letters the record unread. False: nobody will know. */
  quarantine(offset: number, reason: QuarantineReason, detail: string): boolean {
    return this.#guard.journal.quarantine(offset, reason, detail)
  }

  /** The next flush and the bytes it holds; undefined when P has not moved. */
  takeFlush(): Readonly<{ flush: PartitionFlush; bytes: number }> | undefined {
    const snapshot = this.fold.snapshot(!this.isFarBehind)
    if (snapshot === undefined) return undefined
    const { assignment } = this
    const offset = snapshot.checkpoint.resumeOffset
    const metadata = checkpointMetadata(snapshot.checkpoint)
    const deadLetters = Promise.all(this.#letters)
    // The flush awaits them much later, when a rejection would long count as unhandled.
    deadLetters.catch(() => undefined)
    const commit = () => this.#ports.consumer.commit(assignment, { offset, metadata })
    this.#letters = []
    return { flush: { snapshot, deadLetters, commit }, bytes: this.takeBytes() }
  }

  /** Bytes that count towards the next flush, which the caller takes over. */
  takeBytes(): number {
    const bytes = this.#unflushedBytes
    this.#unflushedBytes = 0
    return bytes
  }

  /** Takes records up to one that cannot be passed yet. */
  #takeSome(batch: LogBatch, unknownIds: ReadonlySet<string>): Refusal | undefined {
    const { journal } = this.#guard
    const { stepsTo } = journal
    let refusal: Refusal | undefined
    journal.enter(batch.lastOffset)
    batch.forEach((record) => {
      if (refusal !== undefined || record.offset < this.#nextOffset) return
      if (record.offset <= stepsTo) journal.step(record.offset)
      refusal = this.#takeOne(record, unknownIds)
      if (refusal === undefined) this.#nextOffset = record.offset + 1
    })
    journal.leave(this.#nextOffset - 1)
    return refusal
  }

  #takeOne(record: LogRecord, unknownIds: ReadonlySet<string>): Refusal | undefined {
    const { offset, timestampMs } = record
    if (this.fold.wasSkipped(offset)) return undefined
    const quarantined = this.#guard.journal.quarantined(offset)
    if (quarantined !== undefined) {
      this.#skip(record, quarantineStory(quarantined))
      return undefined
    }
    const fault = this.#read(record)
    if (fault === undefined) {
      this.#fold(record)
      return undefined
    }
    const story = storyOf(fault)
    const replayId = record.headers[REPLAY_HEADERS.id]?.toString()
    const isNew =
      fault.kind === 'schema_unknown' &&
      !unknownIds.has(questionName({ schemaId: fault.schemaId, replayId }))
    const replay = offset < this.fold.position
    if (isNew || !(replay || this.#guard.admits(offset, story, this.fold.counts.records))) {
      return { offset, timestampMs, story, replayId }
    }
    this.#skip(record, story)
    return undefined
  }

  #read(record: LogRecord): FrameFault | undefined {
    const { frames } = this.#ports
    const { place } = record
    if (place === undefined) return record.value === null ? NO_VALUE : frames.read(record.value)
    const { bytes, valueFrom, valueTo } = place
    return valueTo < valueFrom ? NO_VALUE : frames.read(bytes, valueFrom, valueTo)
  }

  /** Waits until the record that was refused can be taken, or dead-lettered. */
  async #clear(refusal: Refusal, unknownIds: Set<string>): Promise<void> {
    const { reason, schemaId } = refusal.story
    if (reason !== 'schema_unknown' || schemaId === undefined) return this.#guard.passage(refusal)
    const { timestampMs: appendMs, replayId } = refusal
    const question = { schemaId, appendMs, replayId }
    if (unknownIds.has(questionName(question))) return this.#guard.passage(refusal)
    const answer = await this.#guard.schemaOf(question)
    if (answer === 'unknown') unknownIds.add(questionName(question))
  }

  /** False: it is not passed, and neither is what comes behind it. */
  async #passGap(nextOffset: number): Promise<boolean> {
    const largestAppendMs = await this.#ports.largestAppendMs(this.partition)
    if (largestAppendMs === undefined) return false
    this.fold.distrust(nextOffset, largestAppendMs)
    this.#nextOffset = nextOffset
    return true
  }

  /** Folds what the frames hold of this record. */
  #fold(record: LogRecord): void {
    const { telemetry } = this.#ports.frames
    const refused = this.fold.accept(telemetry, record.offset, record.timestampMs)
    if (refused !== undefined) this.#deadLetter(record, refusalStory(refused))
  }

  #skip(record: LogRecord, story: DeadLetterStory): void {
    // While replaying, the letter was acknowledged before the commit that we started from.
    const replay = record.offset < this.fold.position
    this.fold.skip(record.offset, record.timestampMs)
    if (!replay) this.#deadLetter(record, story)
  }

  #deadLetter(record: LogRecord, story: DeadLetterStory): void {
    this.#ports.deadLettered(story.reason)
    const letter = this.#ports.deadLetters.write(this.assignment, record, story)
    letter.catch(() => undefined)
    this.#letters.push(letter)
  }
}

const NO_VALUE: FrameFault = { kind: 'frame_invalid', detail: 'no value' }

function storyOf(fault: FrameFault): DeadLetterStory {
  const stage: DeadLetterStage =
    fault.kind === 'frame_invalid' ? 'frame' : fault.kind === 'decode_failed' ? 'decode' : 'schema'
  const detail = fault.kind === 'schema_unknown' ? 'the registry has no such id' : fault.detail
  const story = { stage, reason: fault.kind, detail }
  return fault.kind === 'frame_invalid' ? story : { ...story, schemaId: fault.schemaId }
}

function quarantineStory(
  quarantined: Readonly<{ reason: QuarantineReason; detail: string }>,
): DeadLetterStory {
  const { reason, detail } = quarantined
  if (reason === 'sink_refused') return { stage: 'sink', reason, detail }
  return { stage: 'decode', reason, detail, attempts: CRASHES_MAX }
}

function refusalStory({ reason, indexes }: RefusedSamples): DeadLetterStory {
  if (reason === 'partition_wrong') {
    return { stage: 'semantic', reason, detail: 'the device belongs into another partition' }
  }
  const stage = reason === 'value_not_finite' || reason === 'time_invalid' ? 'validate' : 'semantic'
  const detail = `${indexes.length} samples of this record were not stored`
  return { stage, reason, detail, samples: indexes }
}
