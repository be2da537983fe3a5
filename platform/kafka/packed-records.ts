/**
 * The records of one produce request for one partition, already in Kafka's record format
 * (RecordBatch v2, the part after the header). Appending copies the bytes in, so a caller may
 * reuse its buffers at once, and sending the same batch again sends the same bytes.
 *
 *   record  = length varint | attributes 0 | timestampDelta varlong | offsetDelta varint
 *             | keyLength varint, key | valueLength varint, value | headers varint, header*
 *   header  = keyLength varint, key | valueLength varint, value          (all varints zigzag)
 */
import type { OutgoingRecord } from './log.ts'

const SLAB_BYTES_MIN = 4096
const HEADERS_NONE: Readonly<Record<string, Buffer>> = {}

export class PackedRecords {
  readonly partition: number
  #slab: Buffer
  #end = 0
  #count = 0
  #baseTimestampMs = 0
  #timestampMsMax = 0

  constructor(partition: number, slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES_MIN)) {
    this.partition = partition
    this.#slab = slab
  }

  /** How many records are in; kafkajs advances the sequence number by it. */
  get length(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.#end
  }

  get baseTimestampMs(): number {
    return this.#baseTimestampMs
  }

  get timestampMsMax(): number {
    return this.#timestampMsMax
  }

  /** kafkajs looks for messages without a value among plain message objects; here are none. */
  find(): undefined {
    return undefined
  }

  /** Adds a record and returns how many bytes it took. */
  append(record: OutgoingRecord, timestampMs: number): number {
    if (this.#count === 0) this.#baseTimestampMs = this.#timestampMsMax = timestampMs
    else if (timestampMs > this.#timestampMsMax) this.#timestampMsMax = timestampMs
    const headers = record.headers ?? HEADERS_NONE
    const delta = timestampMs - this.#baseTimestampMs
    const bodyBytes =
      1 +
      varintBytes(delta) +
      varintBytes(this.#count) +
      sizedBytes(record.key) +
      sizedBytes(record.value) +
      headersBytes(headers)
    const before = this.#end
    this.#reserve(varintBytes(bodyBytes) + bodyBytes)
    this.#varint(bodyBytes)
    this.#slab[this.#end++] = 0
    this.#varint(delta)
    this.#varint(this.#count)
    this.#sized(record.key)
    this.#sized(record.value)
    this.#headers(headers)
    this.#count++
    return this.#end - before
  }

  /** Copies the records to `target` and returns the position after them. */
  copyTo(target: Buffer, at: number): number {
    this.#slab.copy(target, at, 0, this.#end)
    return at + this.#end
  }

  /** The records' bytes; they stay valid until the slab is taken. */
  bytes(): Buffer {
    return this.#slab.subarray(0, this.#end)
  }

  /** Gives the memory to the next batch. This one must not be used afterwards. */
  takeSlab(): Buffer {
    const slab = this.#slab
    this.#slab = Buffer.alloc(0)
    this.#end = this.#count = 0
    return slab
  }

  #reserve(bytes: number): void {
    const needed = this.#end + bytes
    if (needed <= this.#slab.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#slab.length * 2))
    this.#slab.copy(larger, 0, 0, this.#end)
    this.#slab = larger
  }

  #varint(value: number): void {
    const slab = this.#slab
    let at = this.#end
    let rest = value >= 0 ? value * 2 : value * -2 - 1
    // Bit operations stop at 31 bits; only a timestamp delta of weeks gets there.
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) slab[at++] = (rest % 128) | 0x80
    for (; rest > 0x7f; rest >>>= 7) slab[at++] = (rest & 0x7f) | 0x80
    slab[at++] = rest
    this.#end = at
  }

  #sized(bytes: Buffer | null): void {
    if (bytes === null) return this.#varint(-1)
    this.#varint(bytes.length)
    this.#slab.set(bytes, this.#end)
    this.#end += bytes.length
  }

  #headers(headers: Readonly<Record<string, Buffer>>): void {
    if (headers === HEADERS_NONE) return this.#varint(0)
    const names = Object.keys(headers)
    this.#varint(names.length)
    for (const name of names) {
      this.#varint(Buffer.byteLength(name))
      this.#end += this.#slab.write(name, this.#end)
      this.#sized(headers[name] ?? null)
    }
  }
}

function varintBytes(value: number): number {
  let rest = value >= 0 ? value * 2 : value * -2 - 1
  let bytes = 1
  for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) bytes++
  for (; rest > 0x7f; rest >>>= 7) bytes++
  return bytes
}

function sizedBytes(bytes: Buffer | null): number {
  return bytes === null ? 1 : varintBytes(bytes.length) + bytes.length
}

function headersBytes(headers: Readonly<Record<string, Buffer>>): number {
  if (headers === HEADERS_NONE) return 1
  let bytes = 0
  let count = 0
  for (const name in headers) {
    const nameBytes = Buffer.byteLength(name)
    bytes += varintBytes(nameBytes) + nameBytes + sizedBytes(headers[name] ?? null)
    count++
  }
  return bytes + varintBytes(count)
}
