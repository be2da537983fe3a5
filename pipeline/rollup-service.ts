/**
 * The rollup half of the pipeline as one service: partitions come and go, their records are
 * folded, flushed, committed, and shown to live readers. Everything outside is a port, so that a
 * simulator can drive this very file.
 */
import { setMaxListeners } from 'node:events'
import type { Clock } from '../platform/clock.ts'
import { spelledOut } from '../platform/config/option-names.ts'
import { Failure } from '../platform/failure.ts'
import { ByteGate } from '../platform/flow/byte-gate.ts'
import type {
  Assignment,
  LogAdmin,
  LogBatch,
  LogConsumer,
  LogConsumerHandler,
  LogWriter,
} from '../platform/kafka/log.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { Metrics } from '../platform/observe/metrics.ts'
import type { AvroDecoder, AvroEncoder } from '../schemas/avro-codec.ts'
import {
  acceptedAgeMs,
  DAY_MS,
  logAgeMsMax,
  type Telemetry,
  tickRecord,
} from '../schemas/telemetry.ts'
import { TelemetryFrames } from '../schemas/telemetry-frames.ts'
import { passesGroup, readPasses } from './dead-letters/breaker-passes.ts'
import type { DeadLetterWriter } from './dead-letters/dead-letter-writer.ts'
import { BREAKER_RECORDS_MIN } from './dead-letters/invalid-breaker.ts'
import type { GuardPorts } from './dead-letters/partition-guard.ts'
import { refusalSink } from './dead-letters/refusal-sink.ts'
import { UnknownSchemas } from './dead-letters/unknown-schemas.ts'
import { FlushLoop } from './flush-loop.ts'
import type { LivePublisher } from './live-publisher.ts'
import { largestAppendMs } from './log-tail.ts'
import { PartitionRunner, type RunnerPorts } from './partition-runner.ts'
import type { PipelineOptions } from './pipeline-options.ts'
import { retryingSink } from './retrying-sink.ts'
import { RollupMeter } from './rollup-meter.ts'
import type { RollupSink } from './sinks/rollup-sink.ts'
import { answerUnless, atMost, every, sleepUnless, type Timers } from './timers.ts'
import {
  distrustingCheckpoint,
  type FoldCheckpoint,
  freshCheckpoint,
  isBelievable,
  parseCheckpoint,
} from './window/checkpoint.ts'
import type { RollupRows } from './window/rollup-row.ts'
import { FOLD_EPOCH } from './window/window-version.ts'
import type { PartitionFlush, SettleTotals } from './write-flush.ts'

export type RollupPorts = Readonly<{
  consumer(handler: LogConsumerHandler): LogConsumer
  admin: LogAdmin
  /** For ticks. */
  writer: LogWriter
  deadLetters: DeadLetterWriter
  live: LivePublisher
  sink: RollupSink
  decoder: AvroDecoder<Telemetry>
  encoder: AvroEncoder<Telemetry>
  clock: Clock
  timers: Timers
  logger: Logger
  metrics: Metrics
}>

export type RollupOptions = Pick<
  PipelineOptions,
  | 'topicPrefix'
  | 'flushIntervalMs'
  | 'flushBytes'
  | 'flushQueuedBytesMax'
  | 'latenessMs'
  | 'rawRetentionDays'
  | 'logRetentionDays'
  | 'tickIntervalMs'
  | 'liveIntervalMs'
  | 'liveQueuedBytesMax'
  | 'idleSeriesMax'
> &
  // Without them: no breaker, one question for a schema, no journal.
  Partial<Pick<PipelineOptions, 'invalidPercentMax' | 'schemaPatienceMs' | 'journalFolder'>> &
  Readonly<{
    /** By which rules windows are folded, for tests that mix releases. */
    foldEpoch?: number
    /** Of the ids of series; absent: they have none. */
    seriesSalt?: string
  }>

/** What is read; its number of partitions never changes (schemas/topics.ts). */
export type ReadTopic = Readonly<{ topic: string; partitions: number }>

const SCHEMA_RETRY_MS = 1_000
/** Flushes of a partition that may be written before the first of them is committed. */
const UNSETTLED_MAX = 8
/** Late samples gather for so long before they are corrected, where the next flush is not sooner. */
const LATE_GATHER_MS = 250

export class RollupService implements Service {
  readonly name = 'rollup'
  readonly failure: Promise<never>
  readonly #ports: RollupPorts
  readonly #options: RollupOptions & ReadTopic
  readonly #consumer: LogConsumer
  readonly #meter: RollupMeter
  readonly #gate: ByteGate
  readonly #flushes: FlushLoop
  readonly #runners = new Map<number, PartitionRunner>()
  readonly #runnerPorts: RunnerPorts
  /** Partitions that are not read because their settling is behind. */
  readonly #held = new Set<number>()
  /** Of the gate's bytes, those that the flush of the moment writes. */
  #flushingBytes = 0
  #fail: (error: unknown) => void = () => {}
  #stops: (() => void)[] = []
  readonly #ending = new AbortController()
  #drained: Promise<void> | undefined

  constructor(ports: RollupPorts, options: RollupOptions & ReadTopic) {
    this.#ports = ports
    this.#options = options
    // Every partition may wait for something at once.
    setMaxListeners(0, this.#ending.signal)
    this.#meter = new RollupMeter(ports.metrics)
    this.#gate = new ByteGate({
      highBytes: options.flushQueuedBytesMax,
      lowBytes: options.flushQueuedBytesMax / 2,
    })
    this.#consumer = ports.consumer({
      assigned: (assignment) => this.#assigned(assignment),
      revoked: (_topic, partition) => this.#revoked(partition),
      batch: (batch) => this.#batch(batch),
    })
    this.#runnerPorts = this.#portsOfRunners()
    this.#flushes = this.#flushLoop()
    const own = new Promise<never>((_, reject) => {
      this.#fail = reject
    })
    this.failure = Promise.race([own, this.#consumer.failure, this.#flushes.failure])
    this.failure.catch(() => undefined)
  }

  async start(): Promise<void> {
    const { timers } = this.#ports
    this.#flushes.start()
    this.#stops = [
      every(timers, this.#options.tickIntervalMs, () => this.#tick()),
      every(timers, this.#options.liveIntervalMs, () => this.#publish()),
    ]
    await this.#consumer.start()
  }

  get #draining(): boolean {
    return this.#ending.signal.aborted
  }

  notReady(): string | undefined {
    return this.#consumer.notReady?.()
  }

  stalled(): string | undefined {
    return this.#consumer.stalled?.()
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#ending.abort()
    for (const stop of this.#stops) stop()
    for (const runner of this.#runners.values()) runner.stop()
    this.#publish()
    // The last commit needs the group, so the consumer leaves it after the flush.
    await atMost(this.#ports.timers, deadlineMs / 2, this.#flushes.stop())
    const { admin, timers } = this.#ports
    const closed = atMost(timers, deadlineMs / 2, admin.close())
    await Promise.all([this.#consumer.drain(deadlineMs / 2), closed])
    for (const runner of this.#runners.values()) runner.close()
  }

  async #assigned(assignment: Assignment): Promise<number> {
    const { partition } = assignment
    const checkpoint = await this.#checkpointOf(assignment)
    // Who drains takes no batch any more, wherever it begins.
    if (checkpoint === undefined) return assignment.committed?.offset ?? 0
    const runner = this.#runners.get(partition)
    // Ours all along, unless someone else got further in the meantime.
    if (runner !== undefined && runner.fold.position >= checkpoint.position) {
      runner.assignment = assignment
      return runner.nextOffset
    }
    this.#revoked(partition)
    const { partitions, latenessMs, idleSeriesMax } = this.#options
    const age = acceptedAgeMs(this.#options)
    const foldEpoch = this.#options.foldEpoch ?? FOLD_EPOCH
    const seriesSalt = this.#options.seriesSalt ?? ''
    const sizes = { latenessMs, acceptedAgeMs: age, idleSeriesMax }
    const foldOptions = { partition, partitions, ...sizes, foldEpoch, seriesSalt }
    const start = { assignment, checkpoint }
    this.#runners.set(partition, new PartitionRunner(this.#runnerPorts, foldOptions, start))
    return checkpoint.resumeOffset
  }

  /** Undefined when the log did not say what is needed for it before the service drained. */
  async #checkpointOf(assignment: Assignment): Promise<FoldCheckpoint | undefined> {
    const { topic, partition, committed } = assignment
    // Where the log begins later than at 0, the consumer jumps there and the runner sees a gap.
    if (committed === undefined) return freshCheckpoint(0)
    const read = parseCheckpoint(committed.offset, committed.metadata)
    const believed = read === undefined ? false : await this.#believes(assignment, read)
    if (believed === undefined) return undefined
    if (read !== undefined && believed) {
      const range = await this.#rangeOf(topic, partition)
      if (range === undefined) return undefined
      this.#refuseShortLog(assignment, read.position, range.end)
      return read
    }
    const { metadata, offset } = committed
    this.#ports.logger.error('commit metadata is not readable: all windows are recomputed', {
      partition,
      offset,
      metadata: metadata.slice(0, 100),
    })
    // Not ours: somebody set it by hand, and may have set it behind what was not read yet.
    this.#ports.metrics.add('weir_offset_gap_total', 1, { topic })
    const newestMs = await this.#reading(() => largestAppendMs(this.#ports.admin, topic, partition))
    const range = await this.#rangeOf(topic, partition)
    if (newestMs === undefined || range === undefined) return undefined
    const { earliest, end } = range
    // Beyond the end it says nothing of what was counted, and the end moves while we look.
    return distrustingCheckpoint(offset > end ? earliest : offset, newestMs)
  }

  /** The log is asked only where a checkpoint is ahead of our clock, which a restart seldom finds. */
  async #believes(
    { topic, partition }: Assignment,
    read: FoldCheckpoint,
  ): Promise<boolean | undefined> {
    if (isBelievable(read, this.#ports.clock.nowMs())) return true
    const newestMs = await this.#reading(() => largestAppendMs(this.#ports.admin, topic, partition))
    return newestMs === undefined ? undefined : isBelievable(read, newestMs)
  }

  /** Offsets that were folded and are gone will be given to other records: nothing can be right. */
  #refuseShortLog({ topic, partition }: Assignment, position: number, end: number): void {
    if (position <= end) return
    const text = `${topic}/${partition} ends at ${end}, but records up to ${position} were counted: the log has lost its tail`
    const failure = new Failure('internal', text)
    this.#fail(failure)
    throw failure
  }

  async #rangeOf(topic: string, partition: number) {
    const ranges = await this.#reading(() => this.#ports.admin.offsetRange(topic))
    return ranges === undefined ? undefined : (ranges.get(partition) ?? { earliest: 0, end: 0 })
  }

  /** Questions to the log are asked until it answers; undefined once the service drains. */
  async #reading<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        return await answerUnless(ask(), signal)
      } catch (error) {
        this.#ports.logger.warn('the log does not answer yet', { error: String(error) })
        await sleepUnless(this.#ports.timers, SCHEMA_RETRY_MS, signal)
      }
    }
    return undefined
  }

  #revoked(partition: number): void {
    const runner = this.#runners.get(partition)
    if (runner === undefined) return
    runner.close()
    this.#gate.remove(runner.takeBytes())
    this.#runners.delete(partition)
    this.#release(partition)
    this.#meter.forget(runner)
  }

  async #batch(batch: LogBatch): Promise<void> {
    const runner = this.#runners.get(batch.partition)
    if (runner === undefined || this.#draining) return
    this.#gate.add(await runner.take(batch))
    // A partition that was revoked meanwhile gives its bytes back at once.
    if (this.#runners.get(batch.partition) !== runner) this.#gate.remove(runner.takeBytes())
    this.#meter.took(runner, this.#ports.clock.nowMs())
    this.#hurry(runner)
    const { signal } = this.#ending
    const { writer } = this.#ports
    if (!this.#gate.hasRoom()) await answerUnless(this.#gate.room(), signal)
    if (!writer.hasRoom()) await answerUnless(writer.room(), signal)
  }

  #hurry({ partition, fold, isFarBehind }: PartitionRunner): void {
    if (this.#gate.bytes - this.#flushingBytes >= this.#options.flushBytes) this.#flushes.hurry()
    // Behind flushes that are not settled yet another one would only wait.
    if (!fold.hasLateMarks || isFarBehind || this.#flushes.unsettled(partition) > 1) return
    this.#flushes.hurryAfter(LATE_GATHER_MS)
  }

  #flushLoop(): FlushLoop {
    const { timers, clock, logger } = this.#ports
    const retrying = retryingSink(this.#ports.sink, {
      timers,
      stopped: () => this.#draining,
      retrying: (error) => {
        this.#meter.sinkRetried()
        logger.warn('the tables do not answer: the flush is repeated', { error: error.message })
      },
    })
    const sink = refusalSink(retrying, {
      timers,
      stopped: () => this.#draining,
      standstill: (error) => this.#standstill(error),
      quarantine: (partition, offset, detail) =>
        this.#runners.get(partition)?.quarantine(offset, 'sink_refused', detail) ?? false,
    })
    return new FlushLoop({
      intervalMs: this.#options.flushIntervalMs,
      timers,
      clock,
      ports: {
        sink,
        corrected: (rows) => this.#publishCorrections(rows),
        checkRawRetention: (oldestMs) => this.#checkRawRetention(oldestMs),
      },
      collect: () => this.#collect(),
      flushed: (totals, tookMs) => this.#meter.flushed(totals, tookMs),
      settled: (partition, totals, tookMs) => this.#settled(partition, totals, tookMs),
    })
  }

  #collect(): Readonly<{ flushes: PartitionFlush[]; release: () => void }> {
    const taken = [...this.#runners.values()].flatMap((runner) => {
      const crowded = this.#flushes.unsettled(runner.partition) >= UNSETTLED_MAX
      if (crowded) this.#hold(runner)
      return crowded ? [] : (runner.takeFlush() ?? [])
    })
    const bytes = taken.reduce((sum, each) => sum + each.bytes, 0)
    this.#flushingBytes = bytes
    const release = (): void => {
      this.#flushingBytes = 0
      this.#gate.remove(bytes)
    }
    return { flushes: taken.map(({ flush }) => flush), release }
  }

  /** A partition that cannot commit is not read any further; the others go on. */
  #hold({ partition }: PartitionRunner): void {
    if (this.#held.has(partition)) return
    this.#held.add(partition)
    this.#consumer.pause(this.#options.topic, partition)
    this.#meter.paused(partition, 'settling_behind', true)
    const unsettled = this.#flushes.unsettled(partition)
    this.#ports.logger.warn('a partition is held: settling is behind', { partition, unsettled })
  }

  /** Its ownership may end meanwhile: whoever pauses a partition is the one to resume it. */
  #release(partition: number): void {
    if (!this.#held.delete(partition)) return
    this.#consumer.resume(this.#options.topic, partition)
    this.#meter.paused(partition, 'settling_behind', false)
    this.#ports.logger.info('a held partition goes on', { partition })
  }

  #settled(partition: number, totals: SettleTotals, tookMs: number): void {
    this.#meter.settled(totals, tookMs)
    if (!totals.committed) this.#runners.get(partition)?.fold.repeatCommit()
    if (this.#flushes.unsettled(partition) <= UNSETTLED_MAX / 2) this.#release(partition)
  }

  /** The tables refuse rows that no record can be blamed for: nothing is committed meanwhile. */
  #standstill(error: Failure | undefined): void {
    for (const partition of this.#runners.keys()) {
      this.#meter.paused(partition, 'rows_refused', error !== undefined)
    }
    if (error === undefined) return
    const text = 'the tables refuse rows for good: nothing goes on until they are repaired'
    this.#ports.logger.error(text, { error: error.message })
  }

  /** A process that slept through the retention must not correct windows from what is left. */
  #checkRawRetention(oldestLateAppendMs: number): void {
    const ageMs = this.#ports.clock.nowMs() - oldestLateAppendMs
    if (ageMs <= logAgeMsMax(this.#options)) return
    const option = spelledOut('logRetentionDays')
    const days = Math.floor(ageMs / DAY_MS)
    const text = `late records are in the log for ${days} days, longer than ${option} says: the raw rows of their windows may be gone in part`
    throw new Failure('internal', text)
  }

  #tick(): void {
    const { writer, encoder, clock } = this.#ports
    if (!writer.hasRoom()) return
    for (const partition of this.#runners.keys()) {
      const value = encoder.encode(tickRecord(clock.nowMs()))
      writer.append(this.#options.topic, partition, { key: null, value }).catch(() => undefined)
    }
  }

  #publish(): void {
    const { live, clock } = this.#ports
    for (const runner of this.#runners.values()) {
      this.#meter.watermark(runner, clock.nowMs())
      if (!live.hasRoom()) continue
      live.publish(runner.fold.takeUnpublished(!runner.isFarBehind))
    }
    this.#meter.queued(this.#gate.bytes)
  }

  /** A flush does not wait for live readers: what they miss here, the tables tell them. */
  #publishCorrections(rows: RollupRows): void {
    if (rows.count === 0) return
    if (this.#ports.live.hasRoom()) this.#ports.live.publish([{ rows, from: 0, to: rows.count }])
    else this.#meter.unpublished(rows.count)
  }

  #portsOfRunners(): RunnerPorts {
    const { admin, decoder, encoder, deadLetters } = this.#ports
    const { topic } = this.#options
    return {
      consumer: { commit: (assignment, point) => this.#consumer.commit(assignment, point) },
      frames: new TelemetryFrames(decoder, encoder),
      deadLetters,
      guard: this.#guardPorts(),
      largestAppendMs: (partition) => this.#reading(() => largestAppendMs(admin, topic, partition)),
      deadLettered: (reason) => this.#meter.deadLettered(reason),
    }
  }
  #guardPorts(): GuardPorts {
    const { admin, decoder, timers, clock, logger } = this.#ports
    const { topic, topicPrefix, invalidPercentMax, schemaPatienceMs, journalFolder } = this.#options
    const group = passesGroup(topicPrefix)
    return {
      schemas: new UnknownSchemas({
        learn: (schemaId) => decoder.learn(schemaId),
        waiting: (schemaId, why) => logger.warn('records wait for a schema', { schemaId, why }),
        patienceMs: schemaPatienceMs ?? 0,
        ...{ timers, clock },
      }),
      breaker: { invalidPercentMax: invalidPercentMax ?? 100, recordsMin: BREAKER_RECORDS_MIN },
      passUpTo: async (partition) => (await readPasses(admin, group, topic)).get(partition) ?? 0,
      paused: (partition, reason, isPaused) => this.#meter.paused(partition, reason, isPaused),
      journal: { folder: journalFolder ?? '', logger },
      ...{ timers, logger },
    }
  }
}
