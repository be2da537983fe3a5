/**
 * Rows in ClickHouse's RowBinary format, written straight into one growing buffer. Values follow
 * each other without names, lengths or types: the caller writes the columns in the order it names
 * in the INSERT, with the method that fits each column's type.
 *
 *   LowCardinality(String) and String  string()      DateTime       dateTime(), whole seconds
 *   Map(K, V)                          map()         DateTime64(3)  dateTime64(), milliseconds
 *
 * Format: https://clickhouse.com/docs/interfaces/formats/RowBinary
 */
export class RowBinaryWriter {
  #buffer: Buffer
  #length = 0

  constructor(initialBytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafe(Math.max(initialBytes, 64))
  }

  /** Bytes written since the last take(). */
  get length(): number {
    return this.#length
  }

  u8(value: number): void {
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  u16(value: number): void {
    const at = this.#reserve(2)
    this.#buffer.writeUInt16LE(value, at)
  }

  u32(value: number): void {
    const at = this.#reserve(4)
    this.#buffer.writeUInt32LE(value, at)
  }

  i16(value: number): void {
    const at = this.#reserve(2)
    this.#buffer.writeInt16LE(value, at)
  }

  /** A UInt64 that is a safe integer, such as an offset. */
  u64FromNumber(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a UInt64: ${value}`)
    const at = this.#reserve(8)
    this.#buffer.writeUInt32LE(value % 0x1_0000_0000, at)
    this.#buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
  }

  /** The two halves of a UInt64, for callers that keep hashes and versions as 32-bit numbers. */
  u64FromHalves(high: number, low: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeUInt32LE(low >>> 0, at)
    this.#buffer.writeUInt32LE(high >>> 0, at + 4)
  }

  f64(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeDoubleLE(value, at)
  }

  /** UTF-8 with its byte length in front. Lone surrogates become U+FFFD. */
  string(text: string): void {
    // A UTF-16 unit takes at most three bytes, a length prefix at most five.
    const bytesMax = text.length * 3
    const at = this.#reserve(bytesMax + 5)
    if (bytesMax < 0x80) {
      const bytes = this.#buffer.write(text, at + 1, 'utf8')
      this.#buffer[at] = bytes
      this.#length = at + 1 + bytes
      return
    }
    const start = this.#varint(Buffer.byteLength(text, 'utf8'), at)
    this.#length = start + this.#buffer.write(text, start, 'utf8')
  }

  /** DateTime: milliseconds in, whole seconds kept; ClickHouse has room for 1970 to 2106. */
  dateTime(ms: number): void {
    this.u32(Math.floor(ms / 1000))
  }

  /** DateTime64(3): milliseconds since 1970 UTC, negative before. */
  dateTime64(ms: number): void {
    if (!Number.isSafeInteger(ms)) throw new RangeError(`not whole milliseconds: ${ms}`)
    const at = this.#reserve(8)
    const high = Math.floor(ms / 0x1_0000_0000)
    this.#buffer.writeUInt32LE(ms - high * 0x1_0000_0000, at)
    this.#buffer.writeInt32LE(high, at + 4)
  }

  /** Writes the number of entries, then each entry through `write`, key first. */
  map<K, V>(entries: ReadonlyMap<K, V>, write: (key: K, value: V) => void): void {
    this.#length = this.#varint(entries.size, this.#reserve(5))
    for (const [key, value] of entries) write(key, value)
  }

  /** Gives what was written as a buffer of its own and begins anew. */
  take(): Buffer {
    const taken = Buffer.from(this.#buffer.subarray(0, this.#length))
    this.#length = 0
    return taken
  }

  /** Unsigned LEB128; gives the index after it. */
  #varint(value: number, at: number): number {
    let rest = value
    let index = at
    while (rest >= 0x80) {
      this.#buffer[index++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#buffer[index++] = rest
    return index
  }

  #reserve(bytes: number): number {
    const at = this.#length
    this.#length = at + bytes
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    return at
  }
}
