import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changeWords, rawWords, readingRows } from './reading-rows.ts'

test('each row says its change and how long after the one before it came', () => {
  const readings = [
    { at: 1000, value: 0.1 },
    { at: 2000, value: 0.3 },
    { at: 3000, value: 0.3 },
    { at: 4000, value: -2 },
  ]
  const rows = readingRows(readings, 10)
  assert.deepEqual(
    rows.map((row) => [row.at, rawWords(row.value, 1), changeWords(row, 1), row.afterMs]),
    [
      [4000, '−2.0', '−2.3', 1000],
      [3000, '0.3', '=', 1000],
      [2000, '0.3', '+0.2', 1000],
      [1000, '0.1', '', undefined],
    ],
  )
})

test('a pause longer than the rhythm of the series is a gap, a slow rhythm is none', () => {
  const at = (...seconds: number[]) => seconds.map((s) => ({ at: s * 1000, value: s }))
  const gaps = (...seconds: number[]) => readingRows(at(...seconds), 99).map(({ gap }) => gap)
  assert.deepEqual(gaps(0, 1, 2, 3, 60), [true, false, false, false, false])
  assert.deepEqual(gaps(0, 300, 600, 900), [false, false, false, false])
})

test('only the newest rows are kept, and the oldest of them still knows what was before it', () => {
  const rows = readingRows(
    [
      { at: 1, value: 1 },
      { at: 2, value: 3 },
      { at: 3, value: 'off' },
    ],
    2,
  )
  assert.deepEqual(
    rows.map(({ at, change }) => [at, change]),
    [
      [3, undefined],
      [2, 2],
    ],
  )
  assert.deepEqual(readingRows([], 5), [])
})
