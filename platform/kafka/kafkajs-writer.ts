/**
 * LogWriter on kafkajs. The writer owns the loop that never gives up: kafkajs tries twice, and the
 * same batch goes again with the same producer, hence the same sequence number, until Kafka has it.
 */
import { setMaxListeners } from 'node:events'
import type { Kafka, Producer } from 'kafkajs'
import type { Clock } from '../clock.ts'
import { Failure } from '../failure.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { before, kafkaErrorText, kafkaErrorType, noKafka } from './kafkajs-client.ts'
import { requireKafkajs } from './kafkajs-replacements.ts'
import type { LogWriter, OutgoingRecord } from './log.ts'
import type { PackedRecords } from './packed-records.ts'
import { PartitionedWriter, type SendOutcome } from './partitioned-writer.ts'

const ACKS_ALL = -1
const ACKS_TIMEOUT_MS = 15_000
const METADATA_AGE_MS_MAX = 60_000
const IN_FLIGHT_MAX = 5
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000
/** Timeouts in a row after which the connection itself is doubted. */
const TIMEOUTS_MAX = 3

export type KafkaParts = Readonly<{
  kafka: Kafka
  brokers: readonly string[]
  logger: Logger
  metrics: Metrics
  clock: Clock
}>
type Settings = Readonly<{ name: string; queuedBytesMax: number; lingerMs: number }>

/** What the next step is after a failed attempt. */
type Step = 'again' | 'new_producer' | 'stored' | 'too_large' | 'invalid'

function stepAfter(type: string, timeouts: number): Step {
  switch (type) {
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return 'too_large'
    case 'INVALID_RECORD':
    case 'INVALID_TIMESTAMP':
      return 'invalid'
    // With one batch in flight per partition, a known sequence number is this very batch.
    case 'DUPLICATE_SEQUENCE_NUMBER':
      return 'stored'
    // Kafka has forgotten this producer. The duplicates that a resend may cause are dropped by
    // key when samples are counted; a loss could not be repaired.
    case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
    case 'UNKNOWN_PRODUCER_ID':
    case 'INVALID_PRODUCER_EPOCH':
    // The client's own state is broken, as after it lost its last known broker.
    case 'TypeError':
    case 'KafkaJSNonRetriableError':
      return 'new_producer'
    case 'KafkaJSRequestTimeoutError':
      return timeouts >= TIMEOUTS_MAX ? 'new_producer' : 'again'
    default:
      return 'again'
  }
}

export class KafkaWriter implements LogWriter {
  readonly name: string
  readonly failure: Promise<never> = new Promise(() => undefined)
  readonly #parts: KafkaParts
  readonly #writer: PartitionedWriter
  readonly #stopping = new AbortController()
  #producer: Promise<Producer> | undefined
  #drained: Promise<void> | undefined
  #unansweredSince: string | undefined

  constructor(parts: KafkaParts, settings: Settings) {
    setMaxListeners(0, this.#stopping.signal) // One per lane that waits.
    this.name = settings.name
    this.#parts = parts
    this.#writer = new PartitionedWriter({
      send: (topic, records) => this.#send(topic, records),
      clock: parts.clock,
      queuedBytesMax: settings.queuedBytesMax,
      lingerMs: settings.lingerMs,
      stored: (ageMs) => {
        parts.metrics.observe('weir_log_append_seconds', Math.max(0, ageMs) / 1000)
        parts.metrics.set('weir_log_queued_bytes', this.#writer.queuedBytes)
      },
    })
  }

  get queuedBytes(): number {
    return this.#writer.queuedBytes
  }

  async start(): Promise<void> {
    try {
      await this.#connected()
    } catch (error) {
      throw noKafka(this.#parts.brokers, error)
    }
  }

  append(topic: string, partition: number, record: OutgoingRecord): Promise<void> {
    return this.#writer.append(topic, partition, record)
  }

  hasRoom(): boolean {
    return this.#writer.hasRoom()
  }

  room(): Promise<void> {
    return this.#writer.room()
  }

  notReady(): string | undefined {
    return this.#unansweredSince === undefined ? undefined : `Kafka: ${this.#unansweredSince}`
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#writer.close()
    await before(deadlineMs, this.#writer.idle())
    this.#stopping.abort()
    const closing = this.#producer?.then((producer) => producer.disconnect())
    if (closing !== undefined)
      await before(
        deadlineMs,
        closing.catch(() => undefined),
      )
    await this.#writer.idle()
  }

  async #send(topic: string, records: PackedRecords): Promise<SendOutcome> {
    let timeouts = 0
    for (let attempt = 0; !this.#stopping.signal.aborted; attempt++) {
      if (attempt > 0) await this.#backOff(attempt)
      const current = this.#connected()
      try {
        await this.#attempt(await current, topic, records)
        this.#unansweredSince = undefined
        return { kind: 'stored' }
      } catch (error) {
        if (this.#stopping.signal.aborted) break
        const type = kafkaErrorType(error)
        if (type === 'KafkaJSRequestTimeoutError') timeouts++
        const step = stepAfter(type, timeouts)
        if (step === 'stored') return { kind: 'stored' }
        const detail = `${topic}[${records.partition}]: ${kafkaErrorText(error)}`
        if (step === 'too_large' || step === 'invalid') return refused(step, detail)
        if (step === 'new_producer') {
          timeouts = 0
          this.#abandon(current)
        }
        this.#report(type, detail, attempt)
      }
    }
    return { kind: 'stopped' }
  }

  async #attempt(producer: Producer, topic: string, records: PackedRecords): Promise<void> {
    const answers = await producer.send({
      topic,
      acks: ACKS_ALL,
      timeout: ACKS_TIMEOUT_MS,
      // `as`: the replacements in kafkajs-replacements.ts take a packed batch for a message list.
      messages: records as unknown as never[],
    })
    // kafkajs sends nothing, and resolves, for a partition that its metadata does not know.
    if (!answers.some(({ partition }) => partition === records.partition)) {
      throw new Error('the partition is unknown to Kafka')
    }
  }

  #connected(): Promise<Producer> {
    if (this.#producer !== undefined) return this.#producer
    const producer = this.#connect()
    this.#producer = producer
    producer.catch(() => this.#abandon(producer))
    return producer
  }

  async #connect(): Promise<Producer> {
    const { Partitioners } = requireKafkajs()
    const producer = this.#parts.kafka.producer({
      idempotent: true,
      maxInFlightRequests: IN_FLIGHT_MAX,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      metadataMaxAge: METADATA_AGE_MS_MAX,
      // One retry, the least it takes: a loop inside kafkajs could not be ended by drain().
      retry: { retries: 1, initialRetryTime: RETRY_MS_MIN, maxRetryTime: RETRY_MS_MAX },
    })
    try {
      await producer.connect()
      return producer
    } catch (error) {
      void producer.disconnect().catch(() => undefined)
      throw error
    }
  }

  /** The next attempt makes a new producer, unless another lane has made it already. */
  #abandon(producer: Promise<Producer>): void {
    if (this.#producer !== producer) return
    this.#producer = undefined
    // Other lanes' requests on it are answered first; disconnect waits for them.
    void producer.then((old) => old.disconnect()).catch(() => undefined)
  }

  #report(type: string, detail: string, attempt: number): void {
    this.#parts.metrics.add('weir_log_append_retries_total')
    this.#unansweredSince = detail
    if (attempt % 10 !== 0) return
    this.#parts.logger.warn('Kafka did not take a batch, sending again', { type, detail, attempt })
  }

  #backOff(attempt: number): Promise<void> {
    const delayMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(attempt - 1, 10))
    const { signal } = this.#stopping
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const stop = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop)
        resolve()
      }, delayMs)
      signal.addEventListener('abort', stop, { once: true })
    })
  }
}

function refused(step: 'too_large' | 'invalid', detail: string): SendOutcome {
  const code = step === 'too_large' ? 'payload_too_large' : 'request_invalid'
  return { kind: 'refused', failure: new Failure(code, detail) }
}
