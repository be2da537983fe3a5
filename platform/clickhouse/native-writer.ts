/**
 * Rows in ClickHouse's Native format: blocks of columns. A column that the caller already holds as
 * a typed array is sent from that very memory, so a block costs next to nothing per row.
 *
 *   block   = varuint columns, varuint rows, column*            (protocol revision 0, as over HTTP)
 *   column  = string name, string type, data
 *   string  = varuint bytes, UTF-8
 *   data    numbers      little-endian, one after the other
 *           String       string*
 *           Map(K, V)    UInt64 end* (entries up to and with this row), K*, V*
 *           LowCardinality(String)
 *                        UInt64 1 (version), UInt64 flags (bits 0-7 width of an index: 0 u8, 1 u16,
 *                        2 u32; bit 9 the keys follow), UInt64 keys, string*, UInt64 rows, index*
 *
 * Format: https://clickhouse.com/docs/interfaces/formats/Native, SerializationLowCardinality.cpp
 */
import { endianness } from 'node:os'

const TWO_TO_32 = 0x1_0000_0000
/** A multiplication where a division, or worse the remainder of doubles, would be much slower. */
const TWO_TO_MINUS_32 = 1 / TWO_TO_32

const LOW_CARDINALITY_VERSION = 1
const HAS_ADDITIONAL_KEYS = 1 << 9
const MAP_ENDS_MAX = 0xffff_ffff

export type IndexArray = Uint8Array | Uint16Array | Uint32Array

/**
 * One block of an INSERT. Of every array the first `rows` elements count. Arrays handed in are not
 * copied where their bytes can be sent as they are: leave them alone until the insert has resolved.
 * Throws a RangeError for an array that is too short or a value that its column cannot hold.
 */
export class NativeBlock {
  readonly rows: number
  readonly #names: string[] = []
  readonly #pieces: Buffer[] = []

  constructor(rows: number) {
    if (!Number.isSafeInteger(rows) || rows < 0) throw new RangeError(`not a row count: ${rows}`)
    if (endianness() !== 'LE') throw new Error('typed arrays are sent as they lie in memory')
    this.rows = rows
  }

  /** Column names in the order of the calls. */
  get columns(): readonly string[] {
    return this.#names
  }

  u8(name: string, values: Uint8Array | number): this {
    const array = typeof values === 'number' ? new Uint8Array(this.rows).fill(values) : values
    return this.#column(name, 'UInt8', this.#bytes(name, array))
  }

  u16(name: string, values: Uint16Array | number): this {
    const array = typeof values === 'number' ? new Uint16Array(this.rows).fill(values) : values
    return this.#column(name, 'UInt16', this.#bytes(name, array))
  }

  u32(name: string, values: Uint32Array): this {
    return this.#column(name, 'UInt32', this.#bytes(name, values))
  }

  f64(name: string, values: Float64Array): this {
    return this.#column(name, 'Float64', this.#bytes(name, values))
  }

  /** UInt64 from safe integers of 0 and more, such as offsets. */
  u64FromNumbers(name: string, values: ArrayLike<number>): this {
    return this.#column(name, 'UInt64', this.#words(name, values, 0))
  }

  /** UInt64 as its two halves of 32 bits: hashes and versions. */
  u64FromHalves(name: string, high: ArrayLike<number>, low: ArrayLike<number>): this {
    this.#mustHold(name, high.length)
    this.#mustHold(name, low.length)
    const words = new Uint32Array(this.rows * 2)
    for (let row = 0; row < this.rows; row += 1) {
      words[2 * row] = low[row] ?? 0
      words[2 * row + 1] = high[row] ?? 0
    }
    return this.#column(name, 'UInt64', bytesOf(words, words.length))
  }

  /** UInt64 as words of 32 bits, the lower one first: two per row, sent without a copy. */
  u64FromWords(name: string, words: Uint32Array): this {
    this.#mustHold(name, words.length / 2)
    return this.#column(name, 'UInt64', bytesOf(words, this.rows * 2))
  }

  /** Int64 from safe integers. */
  i64FromNumbers(name: string, values: ArrayLike<number>): this {
    return this.#column(name, 'Int64', this.#words(name, values, Number.MIN_SAFE_INTEGER))
  }

  /** DateTime('UTC') from milliseconds, of which whole seconds are kept: 1970 to 2106. */
  dateTime(name: string, ms: ArrayLike<number>): this {
    this.#mustHold(name, ms.length)
    const seconds = new Uint32Array(this.rows)
    for (let row = 0; row < this.rows; row += 1) {
      const second = Math.floor((ms[row] ?? 0) / 1000)
      if (second !== second >>> 0) throw new RangeError(`${name}: not a DateTime: ${ms[row]}`)
      seconds[row] = second
    }
    return this.#column(name, "DateTime('UTC')", bytesOf(seconds, this.rows))
  }

  /** DateTime64(3, 'UTC') from whole milliseconds since 1970, negative before. */
  dateTime64(name: string, ms: ArrayLike<number>): this {
    const bytes = this.#words(name, ms, Number.MIN_SAFE_INTEGER)
    return this.#column(name, "DateTime64(3, 'UTC')", bytes)
  }

  /** UTF-8; lone surrogates become U+FFFD. A missing element is the empty text. */
  string(name: string, texts: readonly (string | undefined)[]): this {
    return this.#column(name, 'String', stringBytes(texts, this.rows))
  }

  /** A String column in which every row is empty. */
  emptyStrings(name: string): this {
    return this.#column(name, 'String', Buffer.alloc(this.rows))
  }

  /** LowCardinality(String): row n holds `dictionary[indexes[n]]`. Keys must differ. */
  lowCardinality(name: string, dictionary: readonly string[], indexes: IndexArray): this {
    this.#mustHold(name, indexes.length)
    for (let row = 0; row < this.rows; row += 1) {
      const index = indexes[row] ?? 0
      if (index >= dictionary.length) throw new RangeError(`${name}: no key ${index}`)
    }
    return this.#lowCardinality(name, dictionary, bytesOf(indexes, this.rows), indexes)
  }

  /** LowCardinality(String) with the same text in every row. */
  lowCardinalityConstant(name: string, text: string): this {
    return this.#lowCardinality(name, [text], Buffer.alloc(this.rows), new Uint8Array(0))
  }

  /**
   * Map(Int16, UInt32): row n has the entries from `ends[n - 1]` (0 for the first row) up to
   * `ends[n]` of keys and values.
   */
  mapI16U32(name: string, ends: Uint32Array, keys: Int16Array, values: Uint32Array): this {
    this.#mustHold(name, ends.length)
    const entries = this.rows === 0 ? 0 : (ends[this.rows - 1] ?? 0)
    if (keys.length < entries || values.length < entries) {
      throw new RangeError(`${name}: ${entries} entries, fewer keys or values`)
    }
    const words = new Uint32Array(this.rows * 2)
    let before = 0
    for (let row = 0; row < this.rows; row += 1) {
      const end = ends[row] ?? 0
      if (end < before || end > MAP_ENDS_MAX) throw new RangeError(`${name}: ends go back`)
      words[2 * row] = end
      before = end
    }
    const pieces = [bytesOf(words, words.length), bytesOf(keys, entries), bytesOf(values, entries)]
    return this.#column(name, 'Map(Int16, UInt32)', ...pieces)
  }

  /** The block as it goes over the wire: views of the arrays handed in, and what had to be built. */
  toBuffers(): readonly Buffer[] {
    if (this.rows === 0) return []
    const head = new ByteWriter(20)
    head.varuint(this.#names.length)
    head.varuint(this.rows)
    return [head.take(), ...this.#pieces]
  }

  #lowCardinality(name: string, keys: readonly string[], data: Buffer, indexes: IndexArray): this {
    const width = indexes.BYTES_PER_ELEMENT === 1 ? 0 : indexes.BYTES_PER_ELEMENT === 2 ? 1 : 2
    const head = new ByteWriter(64)
    head.u64(LOW_CARDINALITY_VERSION)
    head.u64(HAS_ADDITIONAL_KEYS | width)
    head.u64(keys.length)
    for (const key of keys) head.string(key)
    head.u64(this.rows)
    return this.#column(name, 'LowCardinality(String)', head.take(), data)
  }

  #column(name: string, type: string, ...data: readonly Buffer[]): this {
    const head = new ByteWriter(name.length + type.length + 10)
    head.string(name)
    head.string(type)
    this.#names.push(name)
    this.#pieces.push(head.take(), ...data)
    return this
  }

  #bytes(name: string, array: Uint8Array | Uint16Array | Uint32Array | Float64Array): Buffer {
    this.#mustHold(name, array.length)
    return bytesOf(array, this.rows)
  }

  /** 64-bit little-endian two's complement of safe integers. */
  #words(name: string, values: ArrayLike<number>, min: number): Buffer {
    this.#mustHold(name, values.length)
    const words = new Uint32Array(this.rows * 2)
    for (let row = 0; row < this.rows; row += 1) {
      const value = values[row] ?? 0
      const high = Math.floor(value * TWO_TO_MINUS_32)
      const low = (value - high * TWO_TO_32) >>> 0
      // Whatever is no whole number, or does not fit, does not come back as the same number.
      if (high * TWO_TO_32 + low !== value || value < min || value > Number.MAX_SAFE_INTEGER) {
        throw new RangeError(`${name}: not a whole number that fits: ${value}`)
      }
      words[2 * row] = low
      words[2 * row + 1] = high
    }
    return bytesOf(words, words.length)
  }

  #mustHold(name: string, length: number): void {
    if (length < this.rows) throw new RangeError(`${name}: ${length} values for ${this.rows} rows`)
  }
}

type Viewed = Uint8Array | Uint16Array | Int16Array | Uint32Array | Float64Array

const bytesOf = (array: Viewed, count: number): Buffer =>
  Buffer.from(array.buffer, array.byteOffset, count * array.BYTES_PER_ELEMENT)

function stringBytes(texts: readonly (string | undefined)[], rows: number): Buffer {
  const writer = new ByteWriter(rows * 2 + 64)
  for (let row = 0; row < rows; row += 1) writer.string(texts[row] ?? '')
  return writer.take()
}

/** Grows as it is written to. */
class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(initialBytes: number) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  varuint(value: number): void {
    this.#reserve(5)
    this.#varuint(value)
  }

  u64(value: number): void {
    this.#reserve(8)
    this.#buffer.writeUInt32LE(value, this.#length)
    this.#buffer.writeUInt32LE(0, this.#length + 4)
    this.#length += 8
  }

  string(text: string): void {
    // A UTF-16 unit takes at most three bytes, a length at most five.
    const bytesMax = text.length * 3
    this.#reserve(bytesMax + 5)
    if (bytesMax < 0x80) {
      const at = this.#length
      const bytes = bytesMax === 0 ? 0 : this.#buffer.write(text, at + 1, 'utf8')
      this.#buffer[at] = bytes
      this.#length = at + 1 + bytes
      return
    }
    this.#varuint(Buffer.byteLength(text, 'utf8'))
    this.#length += this.#buffer.write(text, this.#length, 'utf8')
  }

  take(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Unsigned LEB128. */
  #varuint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#buffer[this.#length++] = rest
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, needed))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
