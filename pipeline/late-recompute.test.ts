import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundled, markedCells } from './late-recompute.ts'
import { LateMarks } from './window/fold-snapshot.ts'
import { Series } from './window/series.ts'

const seriesOf = (metric: string): Series => new Series('acme', 'd0', metric, 'number')
const bundles = (marks: LateMarks) => [...bundled(markedCells(marks))]

test('windows of one minute are read once, whatever their size', () => {
  const marks = new LateMarks()
  const series = seriesOf('a')
  for (const startMs of [120_000, 130_000, 170_000, 60_000]) marks.add(series, 0, startMs)
  marks.add(series, 1, 120_000)
  assert.deepEqual(bundles(marks), [[{ series, cellStartsMs: [60_000, 120_000] }]])
})

test('a long upload is cut into reads of bounded size, and nothing is left out', () => {
  const marks = new LateMarks()
  const [few, many] = [seriesOf('few'), seriesOf('many')]
  for (let n = 0; n < 10; n += 1) marks.add(few, 1, n * 60_000)
  for (let n = 0; n < 20_000; n += 1) marks.add(many, 0, n * 300_000)
  const sizes = bundles(marks).map((bundle) =>
    bundle.reduce((sum, { cellStartsMs }) => sum + cellStartsMs.length, 0),
  )
  assert.ok(sizes.every((size) => size <= 4_000))
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    20_010,
  )
})

test('no marks, no reads', () => {
  assert.deepEqual(bundles(new LateMarks()), [])
})
