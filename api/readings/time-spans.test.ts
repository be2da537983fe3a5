import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SpanMs } from './telemetry-reader.ts'
import { holesIn, joined } from './time-spans.ts'

const ROW_MS = 10
/** Spans in order, apart from each other, that begin and end where rows could. */
const spans = fc
  .uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 2, maxLength: 20 })
  .map((edges): readonly SpanMs[] => {
    const sorted = edges.toSorted((a, b) => a - b)
    return sorted.flatMap((edge, at) => {
      const next = sorted[at + 1]
      return at % 2 === 1 || next === undefined
        ? []
        : [{ fromMs: edge * ROW_MS, toMs: next * ROW_MS }]
    })
  })
const rows = fc
  .uniqueArray(fc.integer({ min: -2, max: 62 }), { maxLength: 40 })
  .map((starts) => starts.toSorted((a, b) => a - b).map((start) => start * ROW_MS))

const slotsIn = (of: readonly SpanMs[]): number[] =>
  of.flatMap(({ fromMs, toMs }) =>
    Array.from({ length: (toMs - fromMs) / ROW_MS }, (_, slot) => fromMs + slot * ROW_MS),
  )

test('a hole is what the spans hold and no row covers', () => {
  fc.assert(
    fc.property(spans, rows, (given, starts) => {
      const inSpans = starts.filter((start) => slotsIn(given).includes(start))
      const holes = holesIn(given, inSpans, ROW_MS)
      assert.deepEqual(
        slotsIn(holes),
        slotsIn(given).filter((slot) => !starts.includes(slot)),
      )
      assert.ok(holes.every(({ fromMs, toMs }) => fromMs < toMs))
    }),
  )
})

test('joined spans cover the same and more, are few, and close the smallest distances', () => {
  fc.assert(
    fc.property(spans, fc.integer({ min: 1, max: 8 }), (given, max) => {
      const few = joined(given, max)
      assert.equal(few.length, Math.min(max, given.length))
      const covered = new Set(slotsIn(few))
      assert.ok(slotsIn(given).every((slot) => covered.has(slot)))
      const distances = (of: readonly SpanMs[]): number[] =>
        of.slice(1).map((span, at) => span.fromMs - (of[at]?.toMs ?? 0))
      const largest = distances(given)
        .toSorted((a, b) => b - a)
        .slice(0, few.length - 1)
      assert.deepEqual(
        distances(few).toSorted((a, b) => b - a),
        largest,
      )
    }),
  )
})
