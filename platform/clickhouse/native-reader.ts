/**
 * Reads an answer in ClickHouse's Native format (see native-writer.ts for its grammar) block by
 * block, as typed arrays, while it arrives. Chunks may be cut anywhere. A block is given only when
 * all of it is there; an answer that ends inside a block rejects, and so does one into which the
 * server wrote an error after its first blocks, with the server's own words.
 */
import { ClickhouseError } from './clickhouse-error.ts'

const TWO_TO_32 = 0x1_0000_0000

/** What follows the last whole block where the server failed; before 25.11 the text came alone. */
const EXCEPTION_MARKS = ['\r\n__exception__\r\n', 'Code: ']
const EXCEPTION_TEXT =
  /Code: (\d+)\. (DB::Exception: [\s\S]*?)(?:\n\d+ \w{16}\r\n__exception__\r\n)?$/
/** Servers end what they say of an error here. */
const EXCEPTION_BYTES_MAX = 16 * 1024

const HAS_ADDITIONAL_KEYS = 1 << 9
/** Never seen over HTTP: keys of earlier blocks would be needed. */
const NEEDS_GLOBAL_DICTIONARY = 1 << 8

export type LowCardinality = Readonly<{
  /** The keys of this block; row n holds `dictionary[indexes[n]]`. */
  dictionary: readonly string[]
  indexes: Uint8Array | Uint16Array | Uint32Array
}>

/** Row n has the entries from `ends[n - 1]` (0 for the first row) up to `ends[n]`. */
export type MapColumn = Readonly<{ ends: Float64Array; keys: Int16Array; values: Uint32Array }>

type Values = {
  u8: Uint8Array
  u16: Uint16Array
  u32: Uint32Array
  f64: Float64Array
  /** 64 bits as two words, the lower one first. */
  u64: Uint32Array
  i64: Uint32Array
  seconds: Uint32Array
  milliseconds: Uint32Array
  string: readonly string[]
  lowCardinality: LowCardinality
  map: MapColumn
}
type Kind = keyof Values
type DataOf<K extends Kind> = Readonly<{ kind: K; values: Values[K] }>
type Data = { [K in Kind]: DataOf<K> }[Kind]

/** The columns of one block. Every method throws where the column is absent or of another type. */
export class NativeColumns {
  readonly rows: number
  readonly #columns: ReadonlyMap<string, Data>

  constructor(rows: number, columns: ReadonlyMap<string, Data>) {
    this.rows = rows
    this.#columns = columns
  }

  u8(name: string): Uint8Array {
    return this.#values(name, 'u8')
  }

  u16(name: string): Uint16Array {
    return this.#values(name, 'u16')
  }

  u32(name: string): Uint32Array {
    return this.#values(name, 'u32')
  }

  f64(name: string): Float64Array {
    return this.#values(name, 'f64')
  }

  /** UInt64 as words of 32 bits, two per row, the lower one first. */
  u64Words(name: string): Uint32Array {
    return this.#values(name, 'u64')
  }

  /** UInt64 as numbers; a RangeError where one of them is not safe. */
  u64AsNumbers(name: string): Float64Array {
    return numbersOf(name, this.#values(name, 'u64'), false)
  }

  /** Int64 as numbers; a RangeError where one of them is not safe. */
  i64AsNumbers(name: string): Float64Array {
    return numbersOf(name, this.#values(name, 'i64'), true)
  }

  /** DateTime or DateTime64(3) as milliseconds since 1970. */
  timeMs(name: string): Float64Array {
    const data = this.#data(name)
    if (data.kind === 'seconds') return Float64Array.from(data.values, (second) => second * 1000)
    return numbersOf(name, this.#values(name, 'milliseconds'), true)
  }

  string(name: string): readonly string[] {
    return this.#values(name, 'string')
  }

  lowCardinality(name: string): LowCardinality {
    return this.#values(name, 'lowCardinality')
  }

  mapI16U32(name: string): MapColumn {
    return this.#values(name, 'map')
  }

  #values<K extends Kind>(name: string, kind: K): Values[K] {
    const data = this.#data(name)
    if (!isOf(data, kind)) throw new TypeError(`column ${name} is ${data.kind}, not ${kind}`)
    return data.values
  }

  #data(name: string): Data {
    const data = this.#columns.get(name)
    if (data === undefined) throw new TypeError(`no column ${name} in the answer`)
    return data
  }
}

function isOf<K extends Kind>(data: Data, kind: K): data is Data & DataOf<K> {
  return data.kind === kind
}

/**
 * Gives every block with rows to `onBlock`, one at a time. Rejects with a ClickhouseError for an
 * answer that is cut or carries an error, and with what `onBlock` throws.
 */
export async function readNative(
  chunks: AsyncIterable<Uint8Array>,
  onBlock: (block: NativeColumns) => void | Promise<void>,
): Promise<void> {
  const source = new ByteSource(chunks)
  let header: string | undefined
  try {
    while (await source.more()) {
      for (const mark of EXCEPTION_MARKS) {
        if (await source.startsWith(mark)) throw await source.exception()
      }
      const block = await readBlock(source, header)
      header = block.header
      if (block.columns.rows > 0) await onBlock(block.columns)
    }
  } finally {
    await source.close()
  }
}

async function readBlock(source: ByteSource, expected: string | undefined) {
  const columns = new Map<string, Data>()
  const count = await source.varuint()
  const rows = await source.varuint()
  let header = ''
  for (let k = 0; k < count; k += 1) {
    const name = await source.string()
    const type = await source.string()
    header += `${name} ${type}, `
    if (expected !== undefined && !expected.startsWith(header)) throw notNative(header)
    columns.set(name, await readColumn(source, type, rows))
  }
  return { header, columns: new NativeColumns(rows, columns) }
}

async function readColumn(source: ByteSource, type: string, rows: number): Promise<Data> {
  if (type.startsWith('DateTime64(3'))
    return { kind: 'milliseconds', values: await u32s(source, rows * 2) }
  if (/^DateTime(\(|$)/.test(type)) return { kind: 'seconds', values: await u32s(source, rows) }
  switch (type) {
    case 'UInt8':
    case 'Bool':
      return { kind: 'u8', values: await source.bytes(rows) }
    case 'UInt16':
      return { kind: 'u16', values: new Uint16Array((await source.bytes(rows * 2)).buffer) }
    case 'UInt32':
      return { kind: 'u32', values: await u32s(source, rows) }
    case 'UInt64':
      return { kind: 'u64', values: await u32s(source, rows * 2) }
    case 'Int64':
      return { kind: 'i64', values: await u32s(source, rows * 2) }
    case 'Float64':
      return { kind: 'f64', values: new Float64Array((await source.bytes(rows * 8)).buffer) }
    case 'String':
      return { kind: 'string', values: await source.strings(rows) }
    case 'LowCardinality(String)':
      return { kind: 'lowCardinality', values: await readLowCardinality(source, rows) }
    case 'Map(Int16, UInt32)':
      return { kind: 'map', values: await readMap(source, rows) }
    default:
      throw new TypeError(`no reader for ClickHouse's type ${type}`)
  }
}

async function readLowCardinality(source: ByteSource, rows: number): Promise<LowCardinality> {
  if (rows === 0) return { dictionary: [], indexes: new Uint8Array(0) }
  const version = await u64(source)
  const flags = await u64(source)
  if (version !== 1 || (flags & NEEDS_GLOBAL_DICTIONARY) !== 0) {
    throw new TypeError(`LowCardinality of version ${version} with flags ${flags}`)
  }
  const keys = (flags & HAS_ADDITIONAL_KEYS) === 0 ? 0 : await u64(source)
  const dictionary = await source.strings(keys)
  await u64(source) // The number of rows once more.
  const width = flags & 0xff
  if (width === 0) return { dictionary, indexes: await source.bytes(rows) }
  if (width === 1)
    return { dictionary, indexes: new Uint16Array((await source.bytes(rows * 2)).buffer) }
  if (width === 2) return { dictionary, indexes: await u32s(source, rows) }
  throw new TypeError(`LowCardinality with flags ${flags}`)
}

async function readMap(source: ByteSource, rows: number): Promise<MapColumn> {
  const ends = numbersOf('ends of a Map', await u32s(source, rows * 2), false)
  const entries = ends[rows - 1] ?? 0
  const keys = new Int16Array((await source.bytes(entries * 2)).buffer)
  return { ends, keys, values: await u32s(source, entries) }
}

async function u32s(source: ByteSource, count: number): Promise<Uint32Array> {
  return new Uint32Array((await source.bytes(count * 4)).buffer)
}

async function u64(source: ByteSource): Promise<number> {
  return numbersOf('a count', await u32s(source, 2), false)[0] ?? 0
}

function numbersOf(name: string, words: Uint32Array, signed: boolean): Float64Array {
  const numbers = new Float64Array(words.length / 2)
  for (let row = 0; row < numbers.length; row += 1) {
    const high = words[2 * row + 1] ?? 0
    const number = (signed ? high | 0 : high) * TWO_TO_32 + (words[2 * row] ?? 0)
    if (!Number.isSafeInteger(number)) throw new RangeError(`${name}: ${number} is not safe`)
    numbers[row] = number
  }
  return numbers
}

/** Bytes in the order in which they arrive, as many at a time as the reader asks for. */
class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** False at the end of the answer. */
  async more(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      if (!(await this.#next())) return false
    }
    return true
  }

  async startsWith(text: string): Promise<boolean> {
    const first = text.charCodeAt(0)
    if (this.#chunk[this.#at] !== first) return false
    while (this.#chunk.length - this.#at < text.length) {
      if (!(await this.#append())) break
    }
    return this.#chunk.subarray(this.#at, this.#at + text.length).equals(Buffer.from(text))
  }

  /** As many bytes in memory of their own, so that they may be seen as wider numbers. */
  async bytes(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const target = new Uint8Array(new ArrayBuffer(count))
    let filled = 0
    while (filled < count) {
      if (this.#at === this.#chunk.length && !(await this.#next())) throw truncated()
      const taken = Math.min(count - filled, this.#chunk.length - this.#at)
      target.set(this.#chunk.subarray(this.#at, this.#at + taken), filled)
      filled += taken
      this.#at += taken
    }
    return target
  }

  async varuint(): Promise<number> {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      if (this.#at === this.#chunk.length && !(await this.#next())) throw truncated()
      const byte = this.#chunk[this.#at] ?? 0
      this.#at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  async string(): Promise<string> {
    return (await this.strings(1))[0] ?? ''
  }

  async strings(count: number): Promise<string[]> {
    const texts = new Array<string>(count).fill('')
    let row = 0
    while (row < count) {
      row = this.#stringsOfChunk(texts, row)
      if (row < count && !(await this.#append())) throw truncated()
    }
    return texts
  }

  /** What the rest of the answer says of the error, at a place where no block begins. */
  async exception(): Promise<ClickhouseError> {
    while (this.#chunk.length < EXCEPTION_BYTES_MAX) {
      // The server ends such an answer by hanging up, which says less than its text.
      const appended = await this.#append().catch(() => false)
      if (!appended) break
    }
    const text = this.#chunk.toString('utf8', this.#at)
    const [, code, reason] = EXCEPTION_TEXT.exec(text) ?? []
    if (code === undefined) return truncated()
    return new ClickhouseError(
      `ClickHouse broke off its answer: ${reason}`,
      Number(code),
      undefined,
    )
  }

  /** Lets go of an answer that need not be read to its end. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  /** Reads the strings that lie whole in the chunk; gives the row after them. */
  #stringsOfChunk(texts: string[], from: number): number {
    const chunk = this.#chunk
    let row = from
    for (; row < texts.length; row += 1) {
      let at = this.#at
      let bytes = 0
      let byte = 0x80
      for (let shift = 0; byte >= 0x80; shift += 7) {
        if (at === chunk.length) return row
        byte = chunk[at++] ?? 0
        bytes |= (byte & 0x7f) << shift
      }
      if (chunk.length - at < bytes) return row
      if (bytes > 0) texts[row] = chunk.toString('utf8', at, at + bytes)
      this.#at = at + bytes
    }
    return row
  }

  async #next(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done === true) return false
    this.#chunk = asBuffer(next.value)
    this.#at = 0
    return true
  }

  /** The next chunk behind what is left of this one. */
  async #append(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done === true) return false
    const rest = this.#chunk.subarray(this.#at)
    this.#chunk = rest.length === 0 ? asBuffer(next.value) : Buffer.concat([rest, next.value])
    this.#at = 0
    return true
  }
}

const asBuffer = (chunk: Uint8Array): Buffer =>
  Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)

function truncated(): ClickhouseError {
  return new ClickhouseError('ClickHouse broke off its answer', undefined, undefined)
}

/** Blocks of one answer are alike. */
function notNative(header: string): ClickhouseError {
  const message = `ClickHouse went on with what is no block of this answer: ${header.slice(0, 200)}`
  return new ClickhouseError(message, undefined, undefined)
}
