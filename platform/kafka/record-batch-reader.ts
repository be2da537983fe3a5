/**
 * Reads fetched record batches in place: one object per batch instead of one per record, and keys,
 * values and headers only where they are asked for.
 *
 *   batch = baseOffset i64 | length i32 | leaderEpoch i32 | magic i8 (2) | crc u32 | attributes i16
 *           | lastOffsetDelta i32 | baseTimestamp i64 | maxTimestamp i64 | producerId i64
 *           | producerEpoch i16 | baseSequence i32 | count i32 | records
 */
import { crc32c } from './crc32c.ts'
import type { LogRecord, ValuePlace } from './log.ts'

export const BATCH_HEADER_BYTES = 61
const CRC_AT = 17
const CRC_COVERS_FROM = 21
const TIMESTAMP_IS_APPEND_TIME = 0x08
const IN_TRANSACTION = 0x10
const IS_CONTROL = 0x20
const COMPRESSION = 0x07
const HEADERS_NONE: Readonly<Record<string, Buffer>> = Object.freeze({})

export type RawBatch = Readonly<{
  baseOffset: number
  lastOffset: number
  count: number
  baseTimestampMs: number
  maxTimestampMs: number
  /** True when every record's time is the broker's, kept once in maxTimestampMs. */
  appendTime: boolean
  producerId: bigint
  inTransaction: boolean
  isControl: boolean
  compression: number
  /** The records, compressed or not. */
  body: Buffer
}>

/**
 * The batch that starts at `bytes[0]` and ends with it. Throws when the checksum differs: what
 * arrived is not what Kafka stored, and fetching it again is the cure.
 */
export function readBatch(bytes: Buffer): RawBatch {
  const stated = bytes.readUInt32BE(CRC_AT)
  const actual = crc32c(bytes, CRC_COVERS_FROM, bytes.length)
  const baseOffset = Number(bytes.readBigInt64BE(0))
  if (stated !== actual) {
    throw new Error(`record batch at offset ${baseOffset}: checksum ${actual} instead of ${stated}`)
  }
  const attributes = bytes.readInt16BE(21)
  return {
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(23),
    count: bytes.readInt32BE(57),
    baseTimestampMs: Number(bytes.readBigInt64BE(27)),
    maxTimestampMs: Number(bytes.readBigInt64BE(35)),
    appendTime: (attributes & TIMESTAMP_IS_APPEND_TIME) !== 0,
    producerId: bytes.readBigInt64BE(43),
    inTransaction: (attributes & IN_TRANSACTION) !== 0,
    isControl: (attributes & IS_CONTROL) !== 0,
    compression: attributes & COMPRESSION,
    body: bytes.subarray(BATCH_HEADER_BYTES),
  }
}

/** One record that is moved along the batch. Buffers are views made when a field is read. */
class RecordCursor implements LogRecord, ValuePlace {
  offset = 0
  timestampMs = 0
  readonly bytes: Buffer
  valueFrom = 0
  valueTo = -1
  readonly #baseOffset: number
  readonly #baseTimestampMs: number
  readonly #appendTime: boolean
  #at = 0
  #keyAt = 0
  #keyBytes = -1
  #headersAt = 0

  constructor(batch: RawBatch) {
    this.bytes = batch.body
    this.#baseOffset = batch.baseOffset
    this.#baseTimestampMs = batch.baseTimestampMs
    this.#appendTime = batch.appendTime
    this.timestampMs = batch.maxTimestampMs
  }

  get place(): ValuePlace {
    return this
  }

  get key(): Buffer | null {
    if (this.#keyBytes < 0) return null
    return this.bytes.subarray(this.#keyAt, this.#keyAt + this.#keyBytes)
  }

  get value(): Buffer | null {
    if (this.valueTo < this.valueFrom) return null
    return this.bytes.subarray(this.valueFrom, this.valueTo)
  }

  get headers(): Readonly<Record<string, Buffer>> {
    const after = this.#at
    this.#at = this.#headersAt
    const headers = this.#readHeaders()
    this.#at = after
    return headers
  }

  /** Moves to the next record. */
  next(): void {
    const bytes = this.#varint()
    const end = this.#at + bytes
    this.#at++
    const timestampDelta = this.#varint()
    this.offset = this.#baseOffset + this.#varint()
    if (!this.#appendTime) this.timestampMs = this.#baseTimestampMs + timestampDelta
    this.#keyBytes = this.#varint()
    this.#keyAt = this.#at
    if (this.#keyBytes > 0) this.#at += this.#keyBytes
    const valueBytes = this.#varint()
    this.valueFrom = this.#at
    this.valueTo = this.#at + Math.max(valueBytes, -1)
    if (valueBytes > 0) this.#at = this.valueTo
    this.#headersAt = this.#at
    if (end > this.bytes.length || this.#at > end) {
      throw new Error(`record at offset ${this.offset} is longer than its batch`)
    }
    this.#at = end
  }

  #readHeaders(): Readonly<Record<string, Buffer>> {
    const count = this.#varint()
    if (count === 0) return HEADERS_NONE
    // Without a prototype: a stranger may have named a header `__proto__`.
    const headers: Record<string, Buffer> = Object.create(null)
    for (let n = 0; n < count; n++) {
      const name = this.#take(this.#varint()).toString('utf8')
      headers[name] = this.#take(this.#varint())
    }
    return headers
  }

  #take(bytes: number): Buffer {
    const start = this.#at
    this.#at += Math.max(bytes, 0)
    return this.bytes.subarray(start, this.#at)
  }

  #varint(): number {
    const body = this.bytes
    let byte = body[this.#at++] ?? 0
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let value = byte & 0x7f
    let scale = 128
    do {
      byte = body[this.#at++] ?? 0
      value += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

/**
 * Calls `visit` for every record at or after `fromOffset`, in order. The record is one object that
 * moves: it and its buffers are good until `visit` returns.
 */
export function forEachRecord(
  batch: RawBatch,
  fromOffset: number,
  visit: (record: LogRecord) => void,
): void {
  const cursor = new RecordCursor(batch)
  for (let n = 0; n < batch.count; n++) {
    cursor.next()
    if (cursor.offset >= fromOffset) visit(cursor)
  }
}
