/** LogBatch over what kafkajs hands to eachBatch: undecoded record batches, walked on demand. */
import type { Batch } from 'kafkajs'
import type { BatchMessage } from './fetched-batches.ts'
import type { LogBatch, LogRecord } from './log.ts'
import { forEachRecord, type RawBatch } from './record-batch-reader.ts'

export class KafkaLogBatch implements LogBatch {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly endOffset: number
  readonly bytes: number
  /** The largest time of the newest record batch. */
  readonly newestMs: number
  /** The first offset, when the ones between the wanted one and it are not in the log. */
  readonly jumpsTo: number | undefined
  /** What is wrong with the bytes that follow `lastOffset`; undefined when nothing is. */
  readonly damage: string | undefined
  readonly #batches: readonly RawBatch[]

  constructor(batch: Batch, position: number) {
    // `as`: fetched-batches.ts yields one message per record batch.
    const messages = batch.messages as unknown as readonly BatchMessage[]
    this.topic = batch.topic
    this.partition = batch.partition
    this.endOffset = Number(batch.highWatermark)
    const { batches, damage } = upToDamage(messages, this.endOffset)
    this.#batches = batches
    this.damage = damage
    const first = batches[0]?.baseOffset ?? position
    this.firstOffset = Math.max(first, position)
    this.lastOffset = batches.at(-1)?.lastOffset ?? position - 1
    this.bytes = batches.reduce((sum, { body }) => sum + body.length, 0)
    this.newestMs = batches.at(-1)?.maxTimestampMs ?? 0
    this.jumpsTo = first > position ? first : undefined
  }

  forEach(visit: (record: LogRecord) => void): void {
    for (const batch of this.#batches) forEachRecord(batch, this.firstOffset, visit)
  }
}

/** The checksum leaves out the base offset; that it fits is seen by its neighbours. */
function upToDamage(messages: readonly BatchMessage[], endOffset: number) {
  const batches: RawBatch[] = []
  for (const { content } of messages) {
    if ('damage' in content) return { batches, damage: content.damage }
    const { baseOffset, lastOffset } = content
    if (baseOffset <= (batches.at(-1)?.lastOffset ?? -1) || lastOffset >= endOffset) {
      const text = `offsets ${baseOffset} to ${lastOffset} do not fit a log that ends at ${endOffset}`
      return { batches, damage: text }
    }
    batches.push(content)
  }
  return { batches, damage: undefined }
}
