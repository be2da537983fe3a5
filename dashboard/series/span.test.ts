import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  grainFor,
  grainWidthMs,
  LONGEST_MS,
  panned,
  SHORTEST_MS,
  SPANS,
  zoomAnchorMs,
  zoomed,
} from './span.ts'

test('each preset is shown at a resolution that a screen can carry', () => {
  const grains = SPANS.map(({ lengthMs }) => (lengthMs === undefined ? '' : grainFor(lengthMs)))
  assert.deepEqual(grains, ['10s', '10s', '1m', '1m', '15m', '1h', '6h', ''])
})

test('no stretch up to ten years asks for more windows than the api gives at once', () => {
  fc.assert(
    fc.property(fc.integer({ min: SHORTEST_MS, max: LONGEST_MS }), (lengthMs) => {
      const grain = grainFor(lengthMs)
      if (grain !== 'raw') assert.ok((2 * lengthMs) / grainWidthMs(grain) <= 10_000)
    }),
  )
})

const range = fc
  .record({
    fromMs: fc.integer({ min: 0, max: 2e12 }),
    length: fc.integer({ min: 1e4, max: 1e11 }),
  })
  .map(({ fromMs, length }) => ({ fromMs, toMs: fromMs + length }))

test('zooming holds the time under the pointer still and keeps a valid range', () => {
  fc.assert(
    fc.property(range, fc.double({ min: 0.01, max: 100, noNaN: true }), (given, factor) => {
      const anchorMs = (given.fromMs + given.toMs) / 2
      const { fromMs, toMs } = zoomed(given, factor, anchorMs)
      assert.ok(fromMs >= 0 && toMs - fromMs >= SHORTEST_MS && toMs - fromMs <= LONGEST_MS)
      if (fromMs > 0) assert.ok(Math.abs((fromMs + toMs) / 2 - anchorMs) <= 2)
    }),
  )
})

test('panning keeps the length and stops at 1970', () => {
  fc.assert(
    fc.property(range, fc.integer({ min: -3e12, max: 3e12 }), (given, byMs) => {
      const moved = panned(given, byMs)
      assert.equal(moved.toMs - moved.fromMs, given.toMs - given.fromMs)
      assert.ok(moved.fromMs >= 0)
    }),
  )
})

test('zooming by key or button while following keeps the present at the right edge', () => {
  const nowMs = 10_000_000
  const following = { fromMs: nowMs - 3_600_000, toMs: nowMs + 1_000 }
  const closer = zoomed(following, 0.5, zoomAnchorMs(following, nowMs))
  assert.deepEqual(closer, { fromMs: nowMs + 1_000 - 1_800_500, toMs: nowMs + 1_000 })
  // Some seconds later, on the way to the readings themselves.
  const closest = zoomed(closer, 0.25, zoomAnchorMs(closer, nowMs + 8_000))
  assert.equal(closest.toMs, closer.toMs)
  assert.equal(zoomAnchorMs({ fromMs: 0, toMs: 1_000_000 }, nowMs), 500_000)
})
