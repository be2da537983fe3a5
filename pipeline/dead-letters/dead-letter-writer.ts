/**
 * Records that cannot be counted, or not wholly, go to the dead-letter topic: key, value and
 * headers byte for byte, with their story in further headers.
 */
import type { LogRecord, LogWriter } from '../../platform/kafka/log.ts'
import {
  DEAD_LETTER_ERROR_CHARS_MAX,
  DEAD_LETTER_HEADERS,
  type DeadLetterReason,
  type DeadLetterStage,
} from '../../schemas/dead-letter.ts'

export type DeadLetterStory = Readonly<{
  stage: DeadLetterStage
  reason: DeadLetterReason
  detail: string
  schemaId?: number
  /** Indexes of the refused samples, where the others were stored. */
  samples?: readonly number[]
}>

export type DeadLetterOptions = Readonly<{
  writer: LogWriter
  topic: string
  partitions: number
  /** Who refuses: the role and its version. */
  service: string
  version: string
}>

export class DeadLetterWriter {
  readonly #options: DeadLetterOptions

  constructor(options: DeadLetterOptions) {
    this.#options = options
  }

  /** Copies the record at once; resolves when the letter is acknowledged. */
  write(
    origin: Readonly<{ topic: string; partition: number }>,
    record: LogRecord,
    story: DeadLetterStory,
  ): Promise<void> {
    const { writer, topic, partitions } = this.#options
    return writer.append(topic, origin.partition % partitions, {
      key: record.key === null ? null : Buffer.from(record.key),
      value: record.value === null ? null : Buffer.from(record.value),
      headers: { ...copied(record.headers), ...this.#headers(origin, record, story) },
    })
  }

  #headers(
    origin: Readonly<{ topic: string; partition: number }>,
    record: LogRecord,
    story: DeadLetterStory,
  ): Record<string, Buffer> {
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
      [h.attempts]: '1',
    }
    if (story.schemaId !== undefined) texts[h.schemaId] = String(story.schemaId)
    if (story.samples !== undefined) texts[h.samples] = JSON.stringify(story.samples)
    return Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, Buffer.from(text)]),
    )
  }
}

const copied = (headers: LogRecord['headers']): Record<string, Buffer> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]))
