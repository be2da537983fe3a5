/**
 * Records that cannot be counted, or not wholly, go to the dead-letter topic: key, value and
 * headers byte for byte, with their story in further headers.
 *
 * The topic takes records larger than telemetry's, so a letter fits. Where an operator let telemetry
 * have larger ones, a letter that Kafka refuses is replaced by its beginning: the whole record then
 * stays where `dlq.orig.*` says, for as long as telemetry is kept, and nothing stands still.
 */
import { Failure } from '../../platform/failure.ts'
import type { LogRecord, LogWriter, OutgoingRecord } from '../../platform/kafka/log.ts'
import {
  DEAD_LETTER_ERROR_CHARS_MAX,
  DEAD_LETTER_HEADERS,
  DEAD_LETTER_SAMPLES_MAX,
  type DeadLetterReason,
  type DeadLetterStage,
} from '../../schemas/dead-letter.ts'

export type DeadLetterStory = Readonly<{
  stage: DeadLetterStage
  reason: DeadLetterReason
  detail: string
  schemaId?: number
  /** How often taking the record was tried, where that is more than once. */
  attempts?: number
  /** Indexes of the refused samples, where the others were stored. */
  samples?: readonly number[]
}>

type DeadLetterOptions = Readonly<{
  writer: LogWriter
  topic: string
  partitions: number
  /** Who refuses: the role and its version. */
  service: string
  version: string
  /** Told of a record that did not fit, with what is in its letter's headers. */
  cut?(origin: Origin, offset: number, valueBytes: number): void
}>

type Origin = Readonly<{ topic: string; partition: number }>

/** What is kept of a value, and of headers, that Kafka does not take whole. */
const CUT_BYTES = 64 * 1024

export class DeadLetterWriter {
  readonly #options: DeadLetterOptions

  constructor(options: DeadLetterOptions) {
    this.#options = options
  }

  /** Copies the record at once; resolves when the letter is acknowledged. */
  async write(origin: Origin, record: LogRecord, story: DeadLetterStory): Promise<void> {
    const { offset } = record
    const told = this.#headers(origin, record, story)
    const key = record.key === null ? null : Buffer.from(record.key)
    const value = record.value === null ? null : Buffer.from(record.value)
    const headers = copied(record.headers)
    try {
      await this.#append(origin, { key, value, headers: { ...headers, ...told } })
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'payload_too_large') throw error
      const valueBytes = value?.length ?? 0
      this.#options.cut?.(origin, offset, valueBytes)
      const length = { [DEAD_LETTER_HEADERS.valueBytes]: Buffer.from(String(valueBytes)) }
      await this.#append(origin, {
        key: key?.subarray(0, CUT_BYTES) ?? null,
        value: value?.subarray(0, CUT_BYTES) ?? null,
        headers: { ...(bytesOf(headers) > CUT_BYTES ? {} : headers), ...told, ...length },
      })
    }
  }

  #append(origin: Origin, record: OutgoingRecord): Promise<void> {
    const { writer, topic, partitions } = this.#options
    return writer.append(topic, origin.partition % partitions, record)
  }

  #headers(origin: Origin, record: LogRecord, story: DeadLetterStory): Record<string, Buffer> {
    const h = DEAD_LETTER_HEADERS
    const texts: Record<string, string> = {
      [h.topic]: origin.topic,
      [h.partition]: String(origin.partition),
      [h.offset]: String(record.offset),
      [h.timestamp]: String(record.timestampMs),
      [h.stage]: story.stage,
      [h.reason]: story.reason,
      [h.error]: story.detail.slice(0, DEAD_LETTER_ERROR_CHARS_MAX),
      [h.service]: this.#options.service,
      [h.version]: this.#options.version,
      [h.attempts]: String(story.attempts ?? 1),
    }
    if (story.schemaId !== undefined) texts[h.schemaId] = String(story.schemaId)
    const samples = story.samples?.slice(0, DEAD_LETTER_SAMPLES_MAX)
    if (samples !== undefined) texts[h.samples] = JSON.stringify(samples)
    return Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, Buffer.from(text)]),
    )
  }
}

const copied = (headers: LogRecord['headers']): Record<string, Buffer> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]))

const bytesOf = (headers: Readonly<Record<string, Buffer>>): number =>
  Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
