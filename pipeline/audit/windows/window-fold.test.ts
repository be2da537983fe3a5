/** What a rollup row may hold while its pipeline works, and that nothing else passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  mergedVerdict,
  type Progress,
  RawFold,
  type RawSample,
  type WindowContent,
  type WindowRow,
} from './window-fold.ts'

const SIZE_MS = 10_000
const closed = (position: number): Progress => ({
  positionOf: () => position,
  closedToMsOf: () => SIZE_MS * 10,
})

/** Samples of one window in the order of time; one offset may have brought several. */
const samples = fc
  .uniqueArray(
    fc.record({
      tsMs: fc.integer({ min: 0, max: SIZE_MS - 1 }),
      value: fc.integer({ min: -50, max: 50 }),
      offset: fc.integer({ min: 0, max: 20 }),
    }),
    { selector: ({ tsMs }) => tsMs, minLength: 1, maxLength: 30 },
  )
  .map((some) =>
    some
      .map((each): RawSample => ({ ...each, text: `${each.value}`, partition: 0 }))
      .sort((a, b) => a.tsMs - b.tsMs),
  )

function contentOf(of: readonly RawSample[]): WindowContent {
  const values = of.map(({ value }) => value)
  const [first, last] = [of[0], of.at(-1)]
  assert.ok(first !== undefined && last !== undefined)
  return {
    count: of.length,
    sum: values.reduce((a, b) => a + b, 0),
    ...{ min: Math.min(...values), max: Math.max(...values) },
    ...{ first: first.value, last: last.value, firstTsMs: first.tsMs, lastTsMs: last.tsMs },
    ...{ firstText: first.text, lastText: last.text },
  }
}

function verdictOf(of: readonly RawSample[], rows: readonly WindowRow[], position: number) {
  const fold = new RawFold(SIZE_MS, rows, closed(position), new Set([0]))
  for (const sample of of) fold.add(sample)
  return fold.verdict(0)
}

const rowOf = (content: WindowContent, versionOffset: number): WindowRow => ({
  ...{ startMs: 0, partition: 0, versionOffset, content },
})

test('a row that holds all up to some record, at least what is committed, is right', () => {
  fc.assert(
    fc.property(samples, fc.nat(22), fc.nat(22), fc.nat(22), (all, a, b, c) => {
      const [version = 0, position = 0, to = 0] = [a, b, c].sort((x, y) => x - y)
      const held = all.filter(({ offset }) => offset <= Math.max(to, version, position - 1))
      const rows = held.length === 0 ? [] : [rowOf(contentOf(held), version)]
      assert.deepEqual(verdictOf(all, rows, position).mismatches, [])
    }),
  )
})

const field = fc.constantFrom('count', 'sum', 'min', 'max', 'first', 'last', 'lastTsMs')

test('a row that differs in one field is wrong in this field, and an absent one is missed', () => {
  fc.assert(
    fc.property(samples, field, (all, name) => {
      const content = contentOf(all)
      const row = rowOf({ ...content, [name]: content[name] + 1 }, 30)
      const [wrong] = verdictOf(all, [row], 30).mismatches
      assert.deepEqual(wrong?.expected, { [name]: content[name] })
      assert.deepEqual(wrong?.found, { [name]: content[name] + 1 })
      assert.equal(verdictOf(all, [], 30).mismatches[0]?.kind, 'window_absent')
      assert.equal(verdictOf([], [rowOf(content, 30)], 30).mismatches[0]?.kind, 'window_invented')
    }),
  )
})

test('a row that lacks a committed sample is wrong, whatever is on its way', () => {
  fc.assert(
    fc.property(samples, fc.integer({ min: 1, max: 21 }), fc.nat(), (all, position, pick) => {
      const committed = all.filter(({ offset }) => offset < position)
      fc.pre(committed.length > 1)
      const lacking = committed.filter((_, at) => at !== pick % committed.length)
      const row = rowOf(contentOf(lacking), position - 1)
      assert.equal(verdictOf(all, [row], position).mismatches[0]?.kind, 'window_wrong')
    }),
  )
})

test('open windows, and expired rows, are not judged', () => {
  const [sample] = [{ tsMs: 1, value: 1, text: '', partition: 0, offset: 1 }]
  const open = { positionOf: () => 9, closedToMsOf: () => SIZE_MS - 1 }
  const fold = new RawFold(SIZE_MS, [], open)
  fold.add(sample)
  assert.deepEqual(fold.verdict(0), { checked: 0, mismatches: [] })
  const expired = new RawFold(SIZE_MS, [], closed(9))
  expired.add(sample)
  assert.deepEqual(expired.verdict(SIZE_MS), { checked: 0, mismatches: [] })
})

test('an hour whose child is newer than what was committed is not judged', () => {
  const content = contentOf([{ tsMs: 1, value: 1, text: '', partition: 0, offset: 1 }])
  const child = (versionOffset: number): WindowRow => ({ ...rowOf(content, versionOffset) })
  const parent = rowOf({ ...content, count: 2 }, 3)
  const of = { parentMs: 20_000, parents: [parent], progress: closed(5), rowsFromMs: 0 }
  assert.equal(mergedVerdict({ ...of, children: [child(4)] }).mismatches.length, 1)
  assert.equal(mergedVerdict({ ...of, children: [child(5)] }).checked, 0)
  assert.equal(mergedVerdict({ ...of, children: [] }).mismatches[0]?.kind, 'window_invented')
})
