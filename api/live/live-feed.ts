/**
 * Reads all partitions of telemetry.v1 and rollups.v1 into the hub. A private reader: every api
 * process sees everything, commits nothing, and begins a minute back, which ClickHouse and the
 * reader both cover.
 */
import type { Clock } from '../../platform/clock.ts'
import type {
  Assignment,
  Log,
  LogAdmin,
  LogBatch,
  LogConsumer,
  LogRecord,
} from '../../platform/kafka/log.ts'
import type { Service } from '../../platform/lifecycle/service.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import type { AvroDecoder } from '../../schemas/avro-codec.ts'
import { clampMs, type Telemetry, timeRefusal } from '../../schemas/telemetry.ts'
import { ROLLUPS, TELEMETRY } from '../../schemas/topics.ts'
import type { WindowUpdate } from '../../schemas/window-update.ts'
import { type FeedStream, readingItem, rollupItem } from './feed-item.ts'
import type { LiveFlow } from './live-flow.ts'
import type { LiveHub } from './live-hub.ts'
import type { ReadingItem } from '../contract/live.ts'
import type { Value } from '../contract/resources.ts'

const LOOK_BACK_MS = 60_000
/** How long an unknown schema id is not asked about again. */
const UNKNOWN_MS = 30_000
/** How often the feed looks whether anything came. */
export const FLOW_CHECK_MS = 1_000

export type LiveFeedOptions = Readonly<{
  log: Log
  topicPrefix: string
  telemetry: AvroDecoder<Telemetry>
  rollups: AvroDecoder<WindowUpdate>
  hub: LiveHub
  flow: LiveFlow
  /** How old a sample may be when it is appended and still be counted. */
  acceptedAgeMs: number
  metrics: Metrics
  logger: Logger
  clock: Clock
}>

type Reading<T> = Readonly<{
  stream: FeedStream
  decoder: AvroDecoder<T>
  apply(value: T, appendedAtMs: number): void
}>

export class LiveFeed implements Service {
  readonly name = 'live-feed'
  readonly failure: Promise<never>
  readonly #options: LiveFeedOptions
  readonly #consumer: LogConsumer
  readonly #admin: LogAdmin
  readonly #telemetryTopic: string
  /** The next offset of every partition, by topic and partition. */
  readonly #next = new Map<string, Map<number, number>>()
  readonly #unknownUntilMs = new Map<number, number>()
  #assigned = false
  #checks: NodeJS.Timeout | undefined

  constructor(options: LiveFeedOptions) {
    this.#options = options
    this.#telemetryTopic = `${options.topicPrefix}${TELEMETRY.name}`
    this.#admin = options.log.admin()
    this.#consumer = options.log.consumer({
      name: `${options.topicPrefix}api.live`,
      group: undefined,
      topics: [this.#telemetryTopic, `${options.topicPrefix}${ROLLUPS.name}`],
      handler: {
        assigned: (assignment) => this.#startOf(assignment),
        revoked: () => {},
        batch: (batch) => this.#batch(batch),
      },
    })
    this.failure = this.#consumer.failure
  }

  async start(): Promise<void> {
    this.#checkFlow()
    this.#checks = setInterval(() => this.#checkFlow(), FLOW_CHECK_MS).unref()
    await this.#consumer.start()
  }

  async drain(deadlineMs: number): Promise<void> {
    clearInterval(this.#checks)
    await this.#consumer.drain(deadlineMs)
    await this.#admin.close()
  }

  notReady(): string | undefined {
    return this.#assigned ? undefined : 'the live topics are not being read yet'
  }

  /** A standstill is told and measured, but is no reason to be unready: history still answers. */
  #checkFlow(): void {
    const { flow, clock, metrics } = this.#options
    flow.check({ monotonicMs: clock.monotonicMs(), nowMs: clock.nowMs() })
    metrics.set('weir_live_flowing', flow.status.flowing ? 1 : 0)
  }

  /** After a rebalance where it was; otherwise a minute back, by the log's own times. */
  async #startOf({ topic, partition }: Assignment): Promise<number> {
    const known = this.#nextOf(topic).get(partition)
    if (known !== undefined) return known
    const fromMs = this.#options.clock.nowMs() - LOOK_BACK_MS
    const offset = (await this.#admin.offsetsAt(topic, fromMs)).get(partition) ?? 0
    this.#advance(topic, partition, offset)
    this.#assigned = true
    return offset
  }

  async #batch(batch: LogBatch): Promise<void> {
    if (batch.topic === this.#telemetryTopic) {
      const decoder = this.#options.telemetry
      const apply = (value: Telemetry, atMs: number) => this.#telemetry(value, atMs)
      await this.#read(batch, { stream: 'readings', decoder, apply })
    } else {
      const decoder = this.#options.rollups
      const apply = (value: WindowUpdate, atMs: number) => this.#windows(value, atMs)
      await this.#read(batch, { stream: 'rollups', decoder, apply })
    }
  }

  /** Record by record; a schema that is not known yet is learned in between, once. */
  async #read<T>(batch: LogBatch, reading: Reading<T>): Promise<void> {
    const { topic, partition } = batch
    let next = this.#nextOf(topic).get(partition) ?? batch.firstOffset
    let appendedAtMs: number | undefined
    const counts = { good: 0, bad: 0 }
    for (let more = true; more;) {
      let unknownId: number | undefined
      batch.forEach((record) => {
        if (record.offset < next || unknownId !== undefined) return
        unknownId = this.#one(record, reading, counts)
        if (unknownId !== undefined) return
        next = record.offset + 1
        appendedAtMs = record.timestampMs
      })
      more = unknownId !== undefined
      if (unknownId !== undefined) await this.#learn(reading.decoder, unknownId)
    }
    // The rollups say nothing here: while no window changes, there are none.
    if (appendedAtMs !== undefined && reading.stream === 'readings') {
      this.#options.flow.heard(appendedAtMs)
    }
    this.#count(reading.stream, counts)
    this.#advance(topic, partition, Math.max(next, batch.lastOffset + 1))
  }

  /** The schema id that must be learned before this record can be read, if it must. */
  #one<T>(
    record: LogRecord,
    { decoder, apply }: Reading<T>,
    counts: { good: number; bad: number },
  ): number | undefined {
    if (record.value === null) return undefined
    const decoded = decoder.decode(record.value)
    if (decoded.kind === 'value') {
      apply(decoded.value, record.timestampMs)
      counts.good++
      return undefined
    }
    if (decoded.kind === 'schema_unknown' && !this.#isHopeless(decoded.schemaId)) {
      return decoded.schemaId
    }
    // The pipeline dead-letters it; here it is only not shown.
    counts.bad++
    return undefined
  }

  async #learn(decoder: Pick<AvroDecoder<unknown>, 'learn'>, schemaId: number): Promise<void> {
    const known = await decoder.learn(schemaId).catch((error: unknown) => {
      this.#options.logger.warn('the schema registry does not answer', { schemaId, error })
      return false
    })
    if (known) return
    const untilMs = this.#options.clock.monotonicMs() + UNKNOWN_MS
    this.#unknownUntilMs.set(schemaId, untilMs)
    if (this.#unknownUntilMs.size > 1_000) this.#unknownUntilMs.clear()
  }

  #isHopeless(schemaId: number): boolean {
    return this.#options.clock.monotonicMs() < (this.#unknownUntilMs.get(schemaId) ?? 0)
  }

  /** What the pipeline will not count is not shown, by the same rule and the same clocks. */
  #telemetry(record: Telemetry, appendedAtMs: number): void {
    const { device, shiftMs = 0 } = record
    if (device === '') return
    const { acceptedAgeMs } = this.#options
    const times = { clampMs: clampMs(record.recvTs, appendedAtMs), appendMs: appendedAtMs }
    const all = [record.numbers, record.booleans, record.strings]
    for (const kind of all) {
      for (const { metric, t0, dt, v } of kind) {
        for (let index = 0; index < v.length; index++) {
          const value = v[index] ?? Number.NaN
          const atMs = t0 + (dt[index] ?? 0)
          if (timeRefusal(atMs, times, acceptedAgeMs) === undefined && isShown(value)) {
            const body: ReadingItem = { device, metric, at: atMs, value }
            if (shiftMs !== 0) body.deviceAt = atMs + shiftMs
            this.#options.hub.reading(record.tenant, readingItem(body), appendedAtMs)
          }
        }
      }
    }
  }

  #windows(update: WindowUpdate, appendedAtMs: number): void {
    for (const window of update.windows) {
      const item = rollupItem(update, window)
      if (item !== undefined) this.#options.hub.rollup(update.tenant, item, appendedAtMs)
    }
  }

  #nextOf(topic: string): Map<number, number> {
    const known = this.#next.get(topic) ?? new Map<number, number>()
    this.#next.set(topic, known)
    return known
  }

  #advance(topic: string, partition: number, next: number): void {
    const positions = this.#nextOf(topic)
    positions.set(partition, next)
    const stream = topic === this.#telemetryTopic ? 'readings' : 'rollups'
    const words = [...positions].sort(([a], [b]) => a - b).map(([p, offset]) => `${p}:${offset}`)
    const cursor = Buffer.from(`${stream};${words.join(';')}`).toString('base64url')
    this.#options.hub.setCursor(stream, cursor)
  }

  /** Once per batch: a labelled counter costs as much as decoding a record. */
  #count(stream: FeedStream, counts: Readonly<{ good: number; bad: number }>): void {
    const topic = stream === 'readings' ? TELEMETRY.name : ROLLUPS.name
    for (const outcome of ['good', 'bad'] as const) {
      const count = counts[outcome]
      if (count > 0) this.#options.metrics.add('weir_live_records_total', count, { topic, outcome })
    }
  }
}

/** JSON has no word for them, and the pipeline refuses them. */
const isShown = (value: Value): boolean => typeof value !== 'number' || Number.isFinite(value)
