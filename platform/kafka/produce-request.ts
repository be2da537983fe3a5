/**
 * The body of a Produce request (versions 3 to 8 share it) for one partition, in one buffer:
 *
 *   transactionalId i16 -1 | acks i16 | timeoutMs i32 | topics i32 1 | topic string
 *   | partitions i32 1 | partition i32 | batchBytes i32 | record batch (see record-batch-reader.ts)
 */
import { crc32c } from './crc32c.ts'
import type { PackedRecords } from './packed-records.ts'
import { BATCH_HEADER_BYTES } from './record-batch-reader.ts'

const MAGIC = 2
/** Bytes of a batch that its own length field does not count: base offset and length. */
const BATCH_LENGTH_FROM = 12
const CRC_COVERS_FROM = 21

export type ProduceBody = Readonly<{
  acks: number
  timeoutMs: number
  topic: string
  records: PackedRecords
  producerId: bigint
  producerEpoch: number
  firstSequence: number
}>

export function encodeProduceBody(request: ProduceBody): Buffer {
  const { topic, records } = request
  const topicBytes = Buffer.byteLength(topic)
  const batchBytes = BATCH_HEADER_BYTES + records.byteLength
  const batchAt = 2 + 2 + 4 + 4 + 2 + topicBytes + 4 + 4 + 4
  const bytes = Buffer.allocUnsafe(batchAt + batchBytes)
  let at = bytes.writeInt16BE(-1, 0)
  at = bytes.writeInt16BE(request.acks, at)
  at = bytes.writeInt32BE(request.timeoutMs, at)
  at = bytes.writeInt32BE(1, at)
  at = bytes.writeInt16BE(topicBytes, at)
  at += bytes.write(topic, at)
  at = bytes.writeInt32BE(1, at)
  at = bytes.writeInt32BE(records.partition, at)
  at = bytes.writeInt32BE(batchBytes, at)
  writeBatch(bytes, at, request)
  return bytes
}

function writeBatch(bytes: Buffer, start: number, request: ProduceBody): void {
  const { records } = request
  const end = records.copyTo(bytes, start + BATCH_HEADER_BYTES)
  let at = bytes.writeBigInt64BE(0n, start)
  at = bytes.writeInt32BE(end - start - BATCH_LENGTH_FROM, at)
  at = bytes.writeInt32BE(0, at)
  at = bytes.writeInt8(MAGIC, at)
  const crcAt = at
  at = bytes.writeInt16BE(0, crcAt + 4)
  at = bytes.writeInt32BE(records.length - 1, at)
  at = bytes.writeBigInt64BE(BigInt(records.baseTimestampMs), at)
  at = bytes.writeBigInt64BE(BigInt(records.timestampMsMax), at)
  at = bytes.writeBigInt64BE(request.producerId, at)
  at = bytes.writeInt16BE(request.producerEpoch, at)
  at = bytes.writeInt32BE(request.firstSequence, at)
  bytes.writeInt32BE(records.length, at)
  bytes.writeUInt32BE(crc32c(bytes, start + CRC_COVERS_FROM, end), crcAt)
}
