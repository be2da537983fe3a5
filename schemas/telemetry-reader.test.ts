import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AvroSchema, createAvroDecoder, createAvroEncoder } from './avro-codec.ts'
import { TELEMETRY_SCHEMA, type Series, type Telemetry, tickRecord } from './telemetry.ts'
import { TelemetryFrames } from './telemetry-frames.ts'
import { TelemetryReader } from './telemetry-reader.ts'

const ID = 7
const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, ID)
const fetchSchema = async () => undefined
const writers = new Map([[ID, TELEMETRY_SCHEMA]])
const decoder = createAvroDecoder<Telemetry>({ schema: TELEMETRY_SCHEMA, writers, fetchSchema })

const time = fc.oneof(
  fc.integer({ min: 0, max: 4_102_444_800_000 }),
  fc.constantFrom(0, -1, 63, 64, -64, -65, 2 ** 27, 2 ** 31, 2 ** 51, -(2 ** 51)),
)
const seriesOf = <V>(value: fc.Arbitrary<V>) =>
  fc
    .tuple(fc.string({ unit: 'grapheme' }), time, fc.array(fc.tuple(time, value)))
    .map(([metric, t0, pairs]) => ({
      metric,
      t0,
      dt: pairs.map(([dt]) => dt),
      v: pairs.map(([, v]) => v),
    }))
const telemetry: fc.Arbitrary<Telemetry> = fc.record({
  tenant: fc.string({ minLength: 1 }),
  device: fc.string({ unit: 'grapheme', minLength: 1 }),
  recvTs: time,
  protocol: fc.constantFrom('mqtt', 'tick'),
  stamped: fc.boolean(),
  numbers: fc.array(seriesOf(fc.double()), { maxLength: 20 }),
  booleans: fc.array(seriesOf(fc.boolean()), { maxLength: 5 }),
  strings: fc.array(seriesOf(fc.string({ unit: 'grapheme' })), { maxLength: 5 }),
  seq: fc.option(fc.nat(), { nil: null }),
  shiftMs: time,
})

/** What the reader holds, as lines that can be compared. */
function flat(reader: TelemetryReader): unknown[] {
  const { tenant, device, recvTs, stamped, seq, shiftMs } = reader
  const lines: unknown[] = [[tenant, device, recvTs, stamped, seq, shiftMs]]
  for (let e = 0, k = 0; e < reader.entryCount; e += 1) {
    lines.push([reader.kinds[e], reader.metricOf(e)])
    for (; k < (reader.sampleEnd[e] ?? 0); k += 1) {
      lines.push([reader.tsMs[k], reader.values[k], reader.texts[k] ?? ''])
    }
  }
  return lines
}

function flatOf(t: Telemetry): unknown[] {
  const lines: unknown[] = [
    [t.tenant, t.device, t.recvTs, t.stamped, Math.max(-1, t.seq ?? -1), t.shiftMs ?? 0],
  ]
  const add = <V>(kind: number, all: Series<V>[], read: (v: V) => [number, string]) => {
    for (const { metric, t0, dt, v } of all) {
      lines.push([kind, metric], ...v.map((each, k) => [t0 + (dt[k] ?? NaN), ...read(each)]))
    }
  }
  add(0, t.numbers, (v) => [v, ''])
  add(1, t.booleans, (v) => [v ? 1 : 0, ''])
  add(2, t.strings, (v) => [0, v])
  return lines
}

test('the reader holds what avsc wrote, record after record', () => {
  const reader = new TelemetryReader()
  fc.assert(
    fc.property(telemetry, (record) => {
      assert.equal(reader.read(encoder.encode(record), 5), undefined)
      assert.deepEqual(flat(reader), flatOf(record))
    }),
  )
  assert.equal(reader.read(encoder.encode(tickRecord(5)), 5), undefined)
  assert.equal(reader.isTick, true)
})

test('bytes that were tampered with are refused, or mean the same to avsc', () => {
  const reader = new TelemetryReader()
  const inPlace = new TelemetryReader()
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(telemetry, damage, fc.nat(), (record, bytes, cut) => {
      const whole = Buffer.from(encoder.encode(record))
      for (const [at, byte] of bytes) whole[5 + (at % (whole.length - 5))] = byte
      const frame = cut % 3 === 0 ? whole.subarray(0, 5 + (cut % (whole.length - 4))) : whole
      const fault = reader.read(frame, 5)
      // Where a record lies among others it means the same, and nothing behind its end is read.
      const among = Buffer.concat([whole, frame, whole])
      const end = whole.length + frame.length
      assert.equal(inPlace.read(among, whole.length + 5, end), fault)
      if (fault === undefined) assert.deepEqual(flat(inPlace), flat(reader))
      const decoded = decoder.decode(frame)
      if (fault === undefined) {
        assert.equal(decoded.kind, 'value')
        if (decoded.kind === 'value') assert.deepEqual(flat(reader), flatOf(decoded.value))
      } else if (decoded.kind === 'value' && !/too large|nobody/.test(fault)) {
        const { numbers, booleans, strings } = decoded.value
        const uneven = [...numbers, ...booleans, ...strings].some((s) => s.dt.length !== s.v.length)
        assert.ok(uneven, fault)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('six bytes that claim four thousand million samples cost nothing', () => {
  const record = { ...tickRecord(1), numbers: [{ metric: 'm', t0: 0, dt: [0], v: [1] }] }
  const frame = Buffer.from(encoder.encode(record))
  const at = frame.indexOf(Buffer.from('m')) + 2
  const claim = Buffer.concat([frame.subarray(0, at), Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x1f])])
  assert.equal(new TelemetryReader().read(claim, 5), 'the body ends too early')
})

test('a record of an earlier schema is read as if it were written today', () => {
  const old = {
    ...TELEMETRY_SCHEMA,
    fields: TELEMETRY_SCHEMA.fields.filter(({ name }) => name !== 'seq' && name !== 'shiftMs'),
  }
  const both = createAvroDecoder<Telemetry>({
    schema: TELEMETRY_SCHEMA,
    writers: new Map<number, AvroSchema>([
      [3, old],
      [ID, TELEMETRY_SCHEMA],
    ]),
    fetchSchema,
  })
  const frames = new TelemetryFrames(both, encoder)
  const record = {
    ...tickRecord(9),
    tenant: 't',
    device: 'd',
    numbers: [{ metric: 'm', t0: 5, dt: [0], v: [1] }],
  }
  assert.equal(frames.read(createAvroEncoder<Telemetry>(old, 3).encode(record)), undefined)
  assert.deepEqual(flat(frames.telemetry), flatOf(record))
  assert.equal(frames.read(Buffer.from([0, 0, 0, 0, 4]))?.kind, 'schema_unknown')
  assert.equal(frames.read(Buffer.from([1, 0, 0, 0, 7]))?.kind, 'frame_invalid')
  assert.equal(frames.read(Buffer.from([0, 0, 0, 0, 7]))?.kind, 'decode_failed')
})

test('samples of nobody are a fault, also where the empty name is spelled with two bytes', () => {
  const reader = new TelemetryReader()
  const numbers = [{ metric: 'm', t0: 5, dt: [0], v: [1] }]
  for (const name of [{}, { tenant: 't' }, { device: 'd' }]) {
    const fault = reader.read(encoder.encode({ ...tickRecord(9), ...name, numbers }), 5)
    assert.match(fault ?? '', /nobody/)
  }
  const tick = encoder.encode(tickRecord(9))
  const padded = Buffer.concat([tick.subarray(0, 5), Buffer.from([0x80, 0]), tick.subarray(6)])
  assert.equal(reader.read(padded, 5), undefined)
  assert.equal(reader.isTick, true)
})
