/** LogBatch over what kafkajs hands to eachBatch: undecoded record batches, walked on demand. */
import type { Batch } from 'kafkajs'
import type { BatchMessage } from './kafkajs-replacements.ts'
import type { LogBatch, LogRecord } from './log.ts'
import { forEachRecord, type RawBatch } from './record-batch-reader.ts'

export class KafkaLogBatch implements LogBatch {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly endOffset: number
  readonly bytes: number
  /** The first offset, when the ones between the wanted one and it are not in the log. */
  readonly jumpsTo: number | undefined
  readonly #batches: readonly RawBatch[]

  constructor(batch: Batch, position: number) {
    // `as`: the decoder in kafkajs-replacements.ts yields one message per record batch.
    const messages = batch.messages as unknown as readonly BatchMessage[]
    this.#batches = messages.map(({ raw }) => raw)
    const first = this.#batches[0]?.baseOffset ?? position
    this.topic = batch.topic
    this.partition = batch.partition
    this.firstOffset = Math.max(first, position)
    this.lastOffset = this.#batches.at(-1)?.lastOffset ?? position - 1
    this.endOffset = Number(batch.highWatermark)
    this.bytes = this.#batches.reduce((sum, { body }) => sum + body.length, 0)
    this.jumpsTo = first > position ? first : undefined
  }

  forEach(visit: (record: LogRecord) => void): void {
    for (const batch of this.#batches) forEachRecord(batch, this.firstOffset, visit)
  }
}
