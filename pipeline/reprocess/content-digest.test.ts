/** Equal windows have equal digests, as objects and as rows; whatever differs in one makes another. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { WindowPart } from '../../schemas/window-merge.ts'
import { RollupRows } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'
import { contentDigest, rowDigest } from './content-digest.ts'

const double = fc.double({ noNaN: true })
const time = fc.integer({ min: 0, max: 2 ** 43 })
const count = fc.integer({ min: 1, max: 2 ** 32 - 1 })
const windows: fc.Arbitrary<WindowPart> = fc.record({
  ...{ count, sum: double, min: double, max: double, first: double, last: double },
  ...{ firstTsMs: time, lastTsMs: time, m2: double, integral: double },
  ...{ firstText: fc.string(), lastText: fc.string() },
  sketch: fc
    .uniqueArray(fc.tuple(fc.integer({ min: -32_704, max: 32_704 }), count), {
      selector: ([bin]) => bin,
      maxLength: 5,
    })
    .map((bins) => new Map(bins)),
})

test('a row and its window have one digest, whatever rows and bins stand before', () => {
  fc.assert(
    fc.property(fc.array(windows, { minLength: 1, maxLength: 20 }), (all) => {
      const rows = new RollupRows<SeriesRef>(10_000)
      const series = { tenant: 'acme', id: { high: 1, low: 2 } }
      const head = { series, partition: 0, final: true, correctedAtMs: 0, version: 1 }
      for (const [n, window] of all.entries()) rows.addMerged({ ...head, startMs: n }, window)
      for (const [row, window] of all.entries()) {
        const reversed = { ...window, sketch: new Map([...window.sketch].toReversed()) }
        assert.equal(rowDigest(rows, row), contentDigest(reversed))
      }
    }),
  )
})

test('a change of any one field, bin or text is another digest', () => {
  fc.assert(
    fc.property(windows, (window) => {
      const own = contentDigest(window)
      for (const [name, value] of Object.entries(window)) {
        const other = contentDigest({ ...window, [name]: changed(value) })
        assert.notEqual(other, own, name)
      }
      const { firstText, lastText } = window
      if (firstText === lastText) return
      assert.notEqual(contentDigest({ ...window, firstText: lastText, lastText: firstText }), own)
    }),
  )
})

/** As near to the value as can be: zero to minus zero, another last bit, one more. */
function changed(value: unknown): unknown {
  if (typeof value === 'string') return `${value}\u0000`
  if (value instanceof Map) {
    const [bin = 7, count = 0] = [...value][0] ?? []
    return new Map([...value, [bin, count + 1]])
  }
  if (Object.is(value, 0)) return -0
  const words = new BigInt64Array(1)
  new Float64Array(words.buffer)[0] = Number(value)
  words[0] = (words[0] ?? 0n) ^ 1n
  return new Float64Array(words.buffer)[0]
}
