/**
 * Avro records in Confluent frames, at speed: types are compiled once, encoding goes into a slab,
 * a writer's schema is resolved to ours once per id. The only importer of avsc.
 *
 *   frame = 0x00 | schema id u32 BE | Avro body
 */
import avsc from 'avsc'

const FRAME_BYTES = 5
const SLAB_BYTES = 1024 * 1024

/** An Avro schema as an object, as in telemetry.ts. */
export type AvroSchema = Readonly<Record<string, unknown>>

export type AvroEncoder<T> = Readonly<{
  schemaId: number
  /**
   * The framed bytes, a view into a slab that is never written again at that place: it may be
   * kept, and sent again, for as long as needed. Throws when the value does not fit the schema.
   */
  encode(value: T): Buffer
}>

/** What became of a frame. All but 'schema_unknown' are final: no retry makes them better. */
export type Decoded<T> =
  | Readonly<{ kind: 'value'; value: T; schemaId: number }>
  | Readonly<{ kind: 'frame_invalid'; detail: string }>
  | Readonly<{ kind: 'schema_unknown'; schemaId: number }>
  | Readonly<{ kind: 'schema_incompatible'; schemaId: number; detail: string }>
  | Readonly<{ kind: 'decode_failed'; schemaId: number; detail: string }>

export type AvroDecoder<T> = Readonly<{
  decode(frame: Uint8Array): Decoded<T>
  /**
   * Fetches a writer's schema after 'schema_unknown'. True when decode() will know the id from
   * now on; false when there is no such schema. Rejects as the fetch does. Calls for the same id
   * while one is under way share its answer.
   */
  learn(schemaId: number): Promise<boolean>
}>

/** The JSON text of a schema by its id, or undefined where there is none. */
export type SchemaFetch = (schemaId: number) => Promise<string | undefined>

export function createAvroEncoder<T>(schema: AvroSchema, schemaId: number): AvroEncoder<T> {
  const type = typeOf(schema)
  let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  let at = 0

  function encode(value: T): Buffer {
    if (slab.length - at <= FRAME_BYTES) renewSlab(SLAB_BYTES)
    let end = type.encode(value, slab, at + FRAME_BYTES)
    if (end < 0) {
      // Negative: the number of bytes that were missing.
      renewSlab(Math.max(SLAB_BYTES, slab.length - at - end))
      end = type.encode(value, slab, at + FRAME_BYTES)
    }
    slab[at] = 0
    slab.writeUInt32BE(schemaId, at + 1)
    const frame = slab.subarray(at, end)
    at = end
    return frame
  }

  function renewSlab(bytes: number): void {
    slab = Buffer.allocUnsafeSlow(bytes)
    at = 0
  }

  return { schemaId, encode }
}

/** How to read what a writer wrote; no resolver where its schema is ours. */
type Writer =
  | Readonly<{ kind: 'readable'; type: avsc.Type; resolver: avsc.Resolver | undefined }>
  | Readonly<{ kind: 'incompatible'; detail: string }>

/** `writers` are the schemas known from the start, by id; ours must be among them to be read. */
export function createAvroDecoder<T>(
  options: Readonly<{
    schema: AvroSchema
    writers: ReadonlyMap<number, AvroSchema>
    fetchSchema: SchemaFetch
  }>,
): AvroDecoder<T> {
  const reader = typeOf(options.schema)
  const writers = new Map<number, Writer>()
  const learning = new Map<number, Promise<boolean>>()
  for (const [id, schema] of options.writers) writers.set(id, writerOf(reader, schema))

  function decode(frame: Uint8Array): Decoded<T> {
    const bytes = bufferOf(frame)
    if (bytes.length < FRAME_BYTES) {
      return { kind: 'frame_invalid', detail: `${bytes.length} bytes are no frame` }
    }
    if (bytes[0] !== 0) {
      return { kind: 'frame_invalid', detail: `the first byte is ${bytes[0]}, not 0` }
    }
    const schemaId = bytes.readUInt32BE(1)
    const writer = writers.get(schemaId)
    if (writer === undefined) return { kind: 'schema_unknown', schemaId }
    if (writer.kind === 'incompatible') {
      return { kind: 'schema_incompatible', schemaId, detail: writer.detail }
    }
    return decodeBody(bytes, schemaId, writer)
  }

  function decodeBody(
    bytes: Buffer,
    schemaId: number,
    { resolver }: Extract<Writer, { kind: 'readable' }>,
  ): Decoded<T> {
    try {
      const { value, offset } = reader.decode(bytes, FRAME_BYTES, resolver)
      if (offset === bytes.length) return { kind: 'value', value: value as T, schemaId }
      const detail = offset < 0 ? 'the body ends too early' : 'bytes follow the body'
      return { kind: 'decode_failed', schemaId, detail }
    } catch (error) {
      return { kind: 'decode_failed', schemaId, detail: messageOf(error) }
    }
  }

  function learn(schemaId: number): Promise<boolean> {
    if (writers.has(schemaId)) return Promise.resolve(true)
    let answer = learning.get(schemaId)
    if (answer === undefined) {
      answer = fetchWriter(schemaId).finally(() => learning.delete(schemaId))
      learning.set(schemaId, answer)
    }
    return answer
  }

  async function fetchWriter(schemaId: number): Promise<boolean> {
    const text = await options.fetchSchema(schemaId)
    if (text === undefined) return false
    writers.set(schemaId, writerOf(reader, text))
    return true
  }

  return { decode, learn }
}

/** Why a reader of `readerSchema` cannot read what `writerSchema` wrote; undefined if it can. */
export function whyUnreadable(
  readerSchema: AvroSchema,
  writerSchema: AvroSchema,
): string | undefined {
  const writer = writerOf(typeOf(readerSchema), writerSchema)
  return writer.kind === 'incompatible' ? writer.detail : undefined
}

function writerOf(reader: avsc.Type, schema: AvroSchema | string): Writer {
  try {
    const type = typeOf(typeof schema === 'string' ? JSON.parse(schema) : schema)
    const resolver = reader.equals(type) ? undefined : reader.createResolver(type)
    return { kind: 'readable', type, resolver }
  } catch (error) {
    return { kind: 'incompatible', detail: messageOf(error) }
  }
}

let arraysAreBounded = false

function typeOf(schema: AvroSchema): avsc.Type {
  if (!arraysAreBounded) boundArrays()
  arraysAreBounded = true
  // `as`: avsc describes schemas more narrowly than they come out of `as const` or JSON.
  return avsc.Type.forSchema(schema as unknown as avsc.Schema, { omitRecordMethods: true })
}

/** avsc's reading position, as far as it is needed here. */
type Tap = { buf: Uint8Array; pos: number; readLong(): number; skipLong(): void }
type ItemsOf<M extends string> = Readonly<{ itemsType: Record<M, (tap: Tap) => unknown> }>
type ArrayPrototype = {
  _read(this: ItemsOf<'_read'>, tap: Tap): unknown[]
  _skip(this: ItemsOf<'_skip'>, tap: Tap): void
}

/**
 * avsc believes an array's stated count: six bytes of nonsense can make it push four thousand
 * million items. No item of our schemas is shorter than a byte, so a count above the bytes that
 * are left ends the reading, and decode() reports a body that ends too early.
 */
function boundArrays(): void {
  const { ArrayType } = avsc.types as unknown as { ArrayType: { prototype: ArrayPrototype } }
  ArrayType.prototype._read = function (tap) {
    const { itemsType } = this
    const items: unknown[] = []
    for (let left = blockCount(tap); left !== 0; left = blockCount(tap)) {
      while (left-- > 0) items.push(itemsType._read(tap))
    }
    return items
  }
  ArrayType.prototype._skip = function (tap) {
    const { itemsType } = this
    for (let left = blockCount(tap); left !== 0; left = blockCount(tap)) {
      while (left-- > 0) itemsType._skip(tap)
    }
  }
}

function blockCount(tap: Tap): number {
  let count = tap.readLong()
  if (count < 0) {
    count = -count
    tap.skipLong() // The block's size in bytes.
  }
  if (count <= tap.buf.length - tap.pos) return count
  tap.pos = tap.buf.length + 1 // How avsc marks a body that ended too early.
  return 0
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
