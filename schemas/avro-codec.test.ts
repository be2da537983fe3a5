import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createAvroDecoder, createAvroEncoder, type AvroSchema } from './avro-codec.ts'
import { TELEMETRY_SCHEMA, tickRecord, type Telemetry } from './telemetry.ts'
import { WINDOW_UPDATE_SCHEMA, type Window, type WindowUpdate } from './window-update.ts'

const NO_FETCH = async () => undefined
const decoderOf = <T>(schema: AvroSchema, id: number) =>
  createAvroDecoder<T>({ schema, writers: new Map([[id, schema]]), fetchSchema: NO_FETCH })

const time = fc.integer({ min: 0, max: 4_102_444_800_000 })
const seriesOf = <V>(value: fc.Arbitrary<V>) =>
  fc.record({
    metric: fc.string(),
    t0: time,
    dt: fc.array(fc.integer({ min: -86_400_000, max: 86_400_000 })),
    v: fc.array(value),
  })
const telemetry: fc.Arbitrary<Telemetry> = fc.record({
  tenant: fc.string(),
  device: fc.string({ unit: 'grapheme' }),
  recvTs: time,
  protocol: fc.constantFrom('mqtt', 'coap', 'websocket', 'http', 'tick'),
  stamped: fc.boolean(),
  numbers: fc.array(seriesOf(fc.double({ noNaN: true })), { maxLength: 5 }),
  booleans: fc.array(seriesOf(fc.boolean()), { maxLength: 5 }),
  strings: fc.array(seriesOf(fc.string({ unit: 'grapheme' })), { maxLength: 5 }),
  seq: fc.option(fc.nat(), { nil: null }),
  shiftMs: fc.integer({ min: -86_400_000, max: 86_400_000 }),
})
const SAMPLE: Telemetry = {
  tenant: 'acme',
  device: 'pump-7',
  recvTs: 1_700_000_000_000,
  protocol: 'mqtt',
  stamped: true,
  numbers: [{ metric: 'temperature', t0: 1_700_000_000_000, dt: [0, 1000], v: [21.5, 21.75] }],
  booleans: [],
  strings: [],
}

/** avsc's records have a class of their own; what counts is what they hold. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, plain(held)]))
}

test('what is encoded comes back, framed with its schema id', () => {
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 7)
  const decoder = decoderOf<Telemetry>(TELEMETRY_SCHEMA, 7)
  fc.assert(
    fc.property(telemetry, (value) => {
      const frame = encoder.encode(value)
      assert.equal(frame[0], 0)
      assert.equal(frame.readUInt32BE(1), 7)
      const decoded = decoder.decode(frame)
      assert.equal(decoded.kind, 'value')
      if (decoded.kind === 'value') assert.deepEqual(plain(decoded.value), plain(value))
    }),
  )
})

test('frames stay as they are while the slab goes on and is renewed', () => {
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1)
  const decoder = decoderOf<Telemetry>(TELEMETRY_SCHEMA, 1)
  const text = 'x'.repeat(1000)
  const strings = [{ metric: 'note', t0: 0, dt: [0], v: [text] }]
  const frames = Array.from({ length: 3000 }, (_, n) =>
    encoder.encode({ ...SAMPLE, recvTs: n, strings }),
  )
  for (const [n, frame] of frames.entries()) {
    const decoded = decoder.decode(frame)
    assert.equal(decoded.kind === 'value' && decoded.value.recvTs, n)
  }
})

test('a record larger than the slab is encoded whole', () => {
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1)
  const text = 'x'.repeat(3 * 1024 * 1024)
  const frame = encoder.encode({
    ...SAMPLE,
    strings: [{ metric: 'note', t0: 0, dt: [0], v: [text] }],
  })
  const decoded = decoderOf<Telemetry>(TELEMETRY_SCHEMA, 1).decode(frame)
  assert.equal(decoded.kind === 'value' && decoded.value.strings[0]?.v[0]?.length, text.length)
  assert.equal(encoder.encode(SAMPLE).readUInt32BE(1), 1)
})

test('ticks and window updates are encoded as well', () => {
  const tick = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1).encode(tickRecord(5))
  const decoded = decoderOf<Telemetry>(TELEMETRY_SCHEMA, 1).decode(tick)
  const tickRead = { ...tickRecord(5), seq: null, shiftMs: 0 }
  assert.deepEqual(decoded.kind === 'value' && plain(decoded.value), tickRead)

  const window: Window = {
    metric: 'temperature',
    kind: 'number',
    resolutionMs: 10_000,
    start: 1_700_000_000_000,
    count: 2,
    sum: 43.25,
    min: 21.5,
    max: 21.75,
    first: 21.5,
    last: 21.75,
    firstTs: 1_700_000_000_000,
    lastTs: 1_700_000_001_000,
    m2: 0.03125,
    integral: 21_625,
    firstText: '',
    lastText: '',
    final: false,
    correctedAt: 0,
    version: 2 ** 40 * 256,
  }
  const update: WindowUpdate = { tenant: 'acme', device: 'pump-7', windows: [window] }
  const frame = createAvroEncoder<WindowUpdate>(WINDOW_UPDATE_SCHEMA, 2).encode(update)
  const back = decoderOf<WindowUpdate>(WINDOW_UPDATE_SCHEMA, 2).decode(frame)
  assert.deepEqual(back.kind === 'value' && plain(back.value), update)
})

test('a value that does not fit the schema is refused', () => {
  const encoder = createAvroEncoder<unknown>(TELEMETRY_SCHEMA, 1)
  for (const bad of [{}, { ...SAMPLE, recvTs: 1.5 }, { ...SAMPLE, tenant: null }, undefined]) {
    assert.throws(() => encoder.encode(bad))
  }
  assert.equal(encoder.encode(SAMPLE).readUInt32BE(1), 1)
})

test('every kind of bad frame has its own outcome', () => {
  const decoder = decoderOf<Telemetry>(TELEMETRY_SCHEMA, 1)
  const good = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1).encode(SAMPLE)
  assert.equal(decoder.decode(Buffer.alloc(0)).kind, 'frame_invalid')
  assert.equal(decoder.decode(Buffer.from([0, 0, 0, 1])).kind, 'frame_invalid')
  assert.equal(decoder.decode(Buffer.from('{"temperature":1}')).kind, 'frame_invalid')
  assert.deepEqual(decoder.decode(Buffer.from([0, 0, 0, 0, 9, 1])), {
    kind: 'schema_unknown',
    schemaId: 9,
  })
  assert.equal(decoder.decode(Buffer.concat([good, Buffer.of(0)])).kind, 'decode_failed')
  for (let cut = 5; cut < good.length; cut++) {
    assert.equal(decoder.decode(good.subarray(0, cut)).kind, 'decode_failed', `cut at ${cut}`)
  }
})

test('an array that claims more items than there are bytes ends at once', () => {
  const decoder = decoderOf<Telemetry>(TELEMETRY_SCHEMA, 1)
  const start = Buffer.from([0, 0, 0, 0, 1, 0, 0, 0, 0, 1])
  const claims = [
    [0xff, 0xff, 0xff, 0xff, 0x1e], // 2^32 - 1 or so
    [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], // 2^52 or so
    [0xfd, 0xff, 0xff, 0xff, 0x1f, 0x02], // the same, negative, with a block size
  ]
  for (const claim of claims) {
    const frame = Buffer.concat([start, Buffer.from(claim), Buffer.alloc(64)])
    assert.equal(decoder.decode(frame).kind, 'decode_failed')
  }
})

test('random bytes behind a frame never throw', () => {
  const decoder = decoderOf<Telemetry>(TELEMETRY_SCHEMA, 1)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
      decoder.decode(Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), body]))
    }),
    { numRuns: 2000 },
  )
})

const OLDER = {
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'gone', type: { type: 'array', items: 'long' }, default: [] },
  ],
}
const NEWER = {
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'unit', type: 'string', default: 'none' },
  ],
}

test('records of an older writer are read with our defaults', () => {
  const frame = createAvroEncoder(OLDER, 3).encode({ id: 'a', gone: [1, 2] })
  const writers = new Map<number, AvroSchema>([[3, OLDER]])
  const decoder = createAvroDecoder({ schema: NEWER, writers, fetchSchema: NO_FETCH })
  const decoded = decoder.decode(frame)
  assert.deepEqual(decoded.kind === 'value' && plain(decoded.value), { id: 'a', unit: 'none' })
})

test('an unknown writer is learnt once, however many ask', async () => {
  const fetched: number[] = []
  const decoder = createAvroDecoder<{ id: string }>({
    schema: NEWER,
    writers: new Map(),
    fetchSchema: async (id) => {
      fetched.push(id)
      return id === 3 ? JSON.stringify(OLDER) : undefined
    },
  })
  const frame = createAvroEncoder(OLDER, 3).encode({ id: 'a', gone: [] })
  assert.equal(decoder.decode(frame).kind, 'schema_unknown')
  assert.deepEqual(await Promise.all([decoder.learn(3), decoder.learn(3)]), [true, true])
  assert.equal(await decoder.learn(3), true)
  assert.equal(decoder.decode(frame).kind, 'value')
  assert.equal(await decoder.learn(4), false)
  assert.deepEqual(fetched, [3, 4])
})

test('a writer that contradicts our schema is incompatible, also when its schema is no schema', async () => {
  const other = { ...NEWER, fields: [{ name: 'id', type: 'long' }] }
  const texts: Record<number, string> = {
    5: JSON.stringify(other),
    6: '{"type":"nonsense"}',
    7: '{',
  }
  const decoder = createAvroDecoder({
    schema: NEWER,
    writers: new Map(),
    fetchSchema: async (id) => texts[id],
  })
  for (const id of [5, 6, 7]) {
    assert.equal(await decoder.learn(id), true)
    assert.equal(decoder.decode(Buffer.from([0, 0, 0, 0, id, 0])).kind, 'schema_incompatible')
  }
})

test('a fetch that fails can be repeated', async () => {
  let calls = 0
  const decoder = createAvroDecoder({
    schema: NEWER,
    writers: new Map(),
    fetchSchema: async () => {
      if (++calls === 1) throw new Error('registry is down')
      return JSON.stringify(OLDER)
    },
  })
  await assert.rejects(decoder.learn(3), /registry is down/)
  assert.equal(await decoder.learn(3), true)
})
