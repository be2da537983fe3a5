import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { binOf, QUANTILE_RELATIVE_ERROR, quantileOf, valueOfBin } from './quantile-sketch.ts'

const value = fc.oneof(
  fc.double({ min: -1e76, max: 1e76, noNaN: true }),
  fc.double({ min: -1000, max: 1000, noNaN: true }),
  fc.integer({ min: -50, max: 50 }),
)
const distance = (a: number, b: number): number => Math.abs(a - b)

test('a value read back from its bin is wrong by less than is stated', () => {
  fc.assert(
    fc.property(value, (x) => {
      const bound = Math.max(Math.abs(x) * QUANTILE_RELATIVE_ERROR, 1.8e-77)
      assert.ok(distance(valueOfBin(binOf(x)), x) <= bound)
    }),
  )
})

test('bins are ordered as their values are, and fit sixteen bits', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
      assert.ok(a > b || binOf(a) <= binOf(b))
      assert.ok(Math.abs(binOf(a)) <= 32_767)
    }),
  )
  assert.equal(binOf(0), 0)
  assert.equal(binOf(-0), 0)
  assert.equal(binOf(Number.MAX_VALUE), -binOf(-Number.MAX_VALUE))
})

test('every percentile of any values is within the stated error of the nearest rank', () => {
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const counts = new Map<number, number>()
        for (const each of values) counts.set(binOf(each), (counts.get(binOf(each)) ?? 0) + 1)
        const sorted = values.toSorted((a, b) => a - b)
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? NaN
        const bounds = { min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN }
        const found = quantileOf(counts, q, bounds) ?? NaN
        assert.ok(
          distance(found, exact) <= Math.max(Math.abs(exact) * QUANTILE_RELATIVE_ERROR, 1.8e-77),
        )
      },
    ),
  )
  assert.equal(quantileOf(new Map(), 0.5, { min: 0, max: 0 }), undefined)
})
