/**
 * What a Fetch response holds of one partition: whole record batches one after the other, of which
 * the last is often cut. One message per batch goes to kafkajs, instead of one per record.
 *
 *   batch = baseOffset i64 | length i32 (of what follows) | leaderEpoch i32 | magic i8 | crc u32 | …
 *
 * Bytes that are not what Kafka stored end the list with a message that says so: the partition is
 * then read again from there, and the others go on.
 */
import { BATCH_HEADER_BYTES, type RawBatch, readBatch } from './record-batch-reader.ts'

/** What kafkajs hands on to eachBatch. It reads the offset only, which is the last one of a batch. */
export type BatchMessage = Readonly<{ offset: string; content: RawBatch | Damage }>
export type Damage = Readonly<{ damage: string }>

/** Resolves with the bytes of a compressed body; rejects when there is no such codec. */
export type Decompress = (raw: RawBatch) => Promise<Buffer>

/** Bytes before what a batch's length field counts: base offset and the length itself. */
const LENGTH_COUNTS_FROM = 12
const LENGTH_AT = 8
const MAGIC_AT = 16
const MAGIC = 2
/** No batch has this last offset: what is bad is never taken for what was read up to. */
const BEYOND_ALL = '9223372036854775807'

/** Throws nothing: what cannot be read is told. */
export async function fetchedBatches(
  bytes: Buffer,
  decompress: Decompress,
): Promise<BatchMessage[]> {
  const messages: BatchMessage[] = []
  let at = 0
  while (at < bytes.length) {
    const end = batchEnd(bytes, at)
    // Kafka sends the first batch whole, however large: only a later one may be cut.
    if (end > bytes.length && messages.length > 0) break
    const content = await contentOf(bytes, at, end, decompress)
    messages.push(messageOf(content))
    if ('damage' in content) break
    at = end
  }
  return messages
}

function batchEnd(bytes: Buffer, at: number): number {
  if (at + LENGTH_COUNTS_FROM > bytes.length) return Infinity
  return at + LENGTH_COUNTS_FROM + bytes.readInt32BE(at + LENGTH_AT)
}

async function contentOf(
  bytes: Buffer,
  at: number,
  end: number,
  decompress: Decompress,
): Promise<RawBatch | Damage> {
  if (end > bytes.length) return { damage: 'a record batch ends behind its response' }
  if (end - at < BATCH_HEADER_BYTES) return { damage: 'a record batch is shorter than its header' }
  const magic = bytes[at + MAGIC_AT]
  if (magic !== MAGIC) return { damage: `a record batch has the magic byte ${magic}` }
  try {
    const raw = readBatch(bytes.subarray(at, end))
    return raw.compression === 0 ? raw : { ...raw, body: await decompress(raw) }
  } catch (error) {
    return { damage: error instanceof Error ? error.message : String(error) }
  }
}

function messageOf(content: RawBatch | Damage): BatchMessage {
  return { offset: 'damage' in content ? BEYOND_ALL : String(content.lastOffset), content }
}
