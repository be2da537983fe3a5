import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { binOf } from './quantile-sketch.ts'
import { emptyWindowState, mergeInto, type WindowPart, type WindowState } from './window-merge.ts'

type Sample = Readonly<{ tsMs: number; value: number }>

const samples = fc
  .uniqueArray(
    fc.record({
      tsMs: fc.integer({ min: 0, max: 86_400_000 }),
      // No negative zero: which of two zeros is the smaller is nobody's business.
      value: fc
        .oneof(
          fc.double({ min: -1e6, max: 1e6, noNaN: true }),
          fc.double({ min: 999_999, max: 1_000_001, noNaN: true }),
          fc.integer({ min: -3, max: 3 }),
        )
        .map((value) => value + 0),
    }),
    { selector: ({ tsMs }) => tsMs, minLength: 1, maxLength: 60 },
  )
  .map((unordered) => unordered.toSorted((a, b) => a.tsMs - b.tsMs))
/** A length for each part of the day; parts without samples are windows of count 0. */
const cut = fc.integer({ min: 1, max: 86_400_001 })

/** By the textbook: no formula of the module under test is used. */
function folded(of: readonly Sample[]): WindowState {
  const state = emptyWindowState()
  const [first, last] = [of[0], of.at(-1)]
  if (first === undefined || last === undefined) return state
  const values = of.map(({ value }) => value)
  const sum = values.reduce((a, b) => a + b, 0)
  const mean = sum / of.length
  for (const value of values) {
    state.sketch.set(binOf(value), (state.sketch.get(binOf(value)) ?? 0) + 1)
  }
  return {
    ...state,
    count: of.length,
    sum,
    min: Math.min(...values),
    max: Math.max(...values),
    first: first.value,
    last: last.value,
    firstTsMs: first.tsMs,
    lastTsMs: last.tsMs,
    m2: values.reduce((m2, value) => m2 + (value - mean) ** 2, 0),
    integral: trapezoids(of).reduce((a, b) => a + b, 0),
    firstText: `at ${first.tsMs}`,
    lastText: `at ${last.tsMs}`,
  }
}

const trapezoids = (of: readonly Sample[]): number[] =>
  of.slice(1).map((right, index) => {
    const left = of[index] ?? right
    return ((left.value + right.value) / 2) * (right.tsMs - left.tsMs)
  })

const windowsOf = (of: readonly Sample[], sizeMs: number): Sample[][] =>
  Array.from({ length: Math.ceil(86_400_001 / sizeMs) }, (_, index) =>
    of.filter(({ tsMs }) => Math.floor(tsMs / sizeMs) === index),
  )

function merged(children: readonly WindowPart[]): WindowState {
  const state = emptyWindowState()
  for (const child of children) mergeInto(state, child)
  return state
}

/** What must be equal to the last bit. */
const exact = ({ count, min, max, first, last, firstTsMs, lastTsMs, ...rest }: WindowPart) => ({
  ...{ count, min, max, first, last, firstTsMs, lastTsMs },
  ...{ firstText: rest.firstText, lastText: rest.lastText },
  sketch: [...rest.sketch].toSorted(([a], [b]) => a - b),
})

/** Equal, but for what is lost in adding numbers of that size. */
function assertSame(found: WindowPart, expected: WindowPart, of: readonly Sample[]): void {
  assert.deepEqual(exact(found), exact(expected))
  const sizes = {
    sum: of.reduce((size, { value }) => size + Math.abs(value), 0),
    m2: of.reduce((size, { value }) => size + value * value, 0),
    integral: trapezoids(of).reduce((size, area) => size + Math.abs(area), 0),
  }
  for (const name of ['sum', 'm2', 'integral'] as const) {
    const error = Math.abs(found[name] - expected[name])
    assert.ok(error <= 1e-12 * sizes[name], `${name}: ${found[name]} for ${expected[name]}`)
  }
}

test('windows merged in order are the fold of all their samples, however the span was cut', () => {
  fc.assert(
    fc.property(samples, fc.integer({ min: 300_000, max: 86_400_001 }), (all, sizeMs) => {
      const children = windowsOf(all, sizeMs).map(folded)
      assertSame(merged(children), folded(all), all)
    }),
  )
})

test('samples merged one by one are a fold', () => {
  fc.assert(
    fc.property(samples, (all) => {
      assertSame(merged(all.map((one) => folded([one]))), folded(all), all)
    }),
  )
})

test('it makes no difference which neighbours are merged first', () => {
  fc.assert(
    fc.property(samples, cut, cut, (all, one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)]
      const a = folded(all.filter(({ tsMs }) => tsMs < from))
      const b = folded(all.filter(({ tsMs }) => tsMs >= from && tsMs < to))
      const c = folded(all.filter(({ tsMs }) => tsMs >= to))
      assertSame(merged([merged([a, b]), c]), merged([a, merged([b, c])]), all)
    }),
  )
})

test('the same children in the same order give the same bits, and are left as they were', () => {
  fc.assert(
    fc.property(samples, fc.integer({ min: 300_000, max: 86_400_001 }), (all, sizeMs) => {
      const children = windowsOf(all, sizeMs).map(folded)
      const before = structuredClone(children)
      const once = merged(children)
      assert.deepEqual(merged(children), once)
      assert.deepEqual(children, before)
    }),
  )
})

test('a pair by hand: the bridge between children counts, and so does the distance of means', () => {
  const left = folded([
    { tsMs: 0, value: 1 },
    { tsMs: 1_000, value: 3 },
  ])
  const right = folded([{ tsMs: 3_000, value: 8 }])
  const { sketch, ...rest } = merged([left, emptyWindowState(), right])
  assert.deepEqual(rest, {
    ...{ count: 3, sum: 12, min: 1, max: 8, first: 1, last: 8, firstTsMs: 0, lastTsMs: 3_000 },
    ...{ m2: 26, integral: 2_000 + 11_000, firstText: 'at 0', lastText: 'at 3000' },
  })
  assert.deepEqual([...sketch.values()], [1, 1, 1])
})
