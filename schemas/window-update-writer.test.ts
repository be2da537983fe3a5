import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createAvroEncoder } from './avro-codec.ts'
import { WINDOW_UPDATE_SCHEMA, type Window, type WindowUpdate } from './window-update.ts'
import { type WindowColumns, WindowUpdateWriter } from './window-update-writer.ts'

const time = fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 45 }))
const text = fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 60 }))
const double = fc.double()
const window: fc.Arbitrary<Window> = fc.record({
  metric: text,
  kind: fc.constantFrom('number', 'boolean', 'text'),
  resolutionMs: fc.constantFrom(10_000, 60_000),
  start: time,
  count: fc.nat(),
  ...{ sum: double, min: double, max: double, first: double, last: double },
  ...{ firstTs: time, lastTs: time, m2: double, integral: double },
  ...{ firstText: text, lastText: text, final: fc.boolean() },
  ...{ correctedAt: time, version: fc.integer({ min: 0, max: 2 ** 52 }) },
})

/** Columns of one row. */
function columnsOf(w: Window): WindowColumns {
  const f64 = (value: number) => Float64Array.of(value)
  return {
    resolutionMs: w.resolutionMs,
    series: [w],
    startsMs: f64(w.start),
    counts: Uint32Array.of(w.count),
    ...{ sums: f64(w.sum), mins: f64(w.min), maxs: f64(w.max) },
    ...{ firsts: f64(w.first), lasts: f64(w.last) },
    ...{ firstTsMs: f64(w.firstTs), lastTsMs: f64(w.lastTs) },
    ...{ m2s: f64(w.m2), integrals: f64(w.integral) },
    firstTexts: new Map([[0, w.firstText]]),
    lastTexts: new Map([[0, w.lastText]]),
    finals: Uint8Array.of(w.final ? 1 : 0),
    correctedAtMs: f64(w.correctedAt),
    versions: f64(w.version),
  }
}

test('updates are the bytes that avsc would write, and stay what they are', () => {
  const encoder = createAvroEncoder<WindowUpdate>(WINDOW_UPDATE_SCHEMA, 70_000)
  const writer = new WindowUpdateWriter(70_000)
  const kept: [Buffer, Buffer][] = []
  fc.assert(
    fc.property(text, text, fc.array(window, { maxLength: 20 }), (tenant, device, windows) => {
      const expected = encoder.encode({ tenant, device, windows })
      const places = windows.map((each) => ({ rows: columnsOf(each), row: 0 }))
      const written = writer.encode(tenant, device, places)
      assert.deepEqual(written, expected)
      kept.push([written, expected])
    }),
    { numRuns: 500 },
  )
  for (const [written, expected] of kept) assert.deepEqual(written, expected)
})
