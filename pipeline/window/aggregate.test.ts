import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Aggregate } from './aggregate.ts'

const pairs = fc.uniqueArray(
  fc.record({
    tsMs: fc.integer({ min: 0, max: 60_000 }),
    value: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  }),
  { selector: (pair) => pair.tsMs, minLength: 1, maxLength: 40 },
)

test('a row agrees with the textbook formulas', () => {
  fc.assert(
    fc.property(pairs, (unordered) => {
      const samples = [...unordered].sort((a, b) => a.tsMs - b.tsMs)
      const row = new Aggregate()
      for (const { tsMs, value } of samples) row.addNumber(tsMs, value)
      const values = samples.map((s) => s.value)
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      assert.equal(row.count, values.length)
      assert.equal(
        row.min,
        values.reduce((a, b) => (b < a ? b : a)),
      )
      assert.equal(
        row.max,
        values.reduce((a, b) => (b > a ? b : a)),
      )
      assert.deepEqual([row.first, row.last], [values[0], values.at(-1)])
      assert.deepEqual([row.firstTsMs, row.lastTsMs], [samples[0]?.tsMs, samples.at(-1)?.tsMs])
      close(row.sum, mean * values.length)
      close(
        row.m2,
        values.reduce((sum, value) => sum + (value - mean) ** 2, 0),
      )
      close(row.integral, trapezoids(samples))
    }),
  )
})

test('the integral of one sample is zero and of a constant is value times duration', () => {
  const row = new Aggregate()
  row.addNumber(1_000, 4)
  assert.equal(row.integral, 0)
  row.addNumber(3_500, 4)
  assert.equal(row.integral, 10_000)
})

test('a text row has count, first and last, and no arithmetic', () => {
  const row = new Aggregate()
  row.addText(10, 'idle')
  row.addText(20, 'busy')
  assert.deepEqual(
    [row.count, row.firstText, row.lastText, row.firstTsMs, row.lastTsMs, row.sum, row.max],
    [2, 'idle', 'busy', 10, 20, 0, 0],
  )
})

function trapezoids(samples: readonly { tsMs: number; value: number }[]): number {
  let area = 0
  for (const [index, right] of samples.entries()) {
    const left = samples[index - 1]
    if (left !== undefined) area += ((left.value + right.value) / 2) * (right.tsMs - left.tsMs)
  }
  return area
}

function close(actual: number, expected: number): void {
  const scale = Math.max(1e6, Math.abs(expected))
  assert.ok(Math.abs(actual - expected) <= 1e-6 * scale, `${actual} is not close to ${expected}`)
}
