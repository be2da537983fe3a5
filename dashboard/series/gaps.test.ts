import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Band, columnsOf, lonelyIndices } from '../chart/chart-columns.ts'
import { gapsOf, gapsWithin } from './gaps.ts'
import { pointOfReading } from './point-series.ts'

const at = (...starts: number[]) => starts.map((start) => pointOfReading(start, 1))
const every = (stepMs: number, count: number) => Array.from({ length: count }, (_, i) => i * stepMs)

test('two missing windows are tolerated, three are a gap', () => {
  assert.deepEqual(gapsOf(at(0, 10_000, 40_000), '10s', 50_000), [])
  assert.deepEqual(gapsOf(at(0, 10_000, 50_000), '10s', 60_000), [{ fromMs: 20_000, toMs: 50_000 }])
})

test('a device that speaks every five minutes has no gaps between its readings', () => {
  const starts = every(300_000, 20)
  assert.deepEqual(gapsOf(at(...starts), '10s', starts.at(-1) ?? 0), [])
})

test('the same device missing four readings has one', () => {
  const starts = every(300_000, 20).filter((_, i) => i < 8 || i > 11)
  assert.equal(gapsOf(at(...starts), '10s', starts.at(-1) ?? 0).length, 1)
})

test('a device that fell silent has a gap up to now', () => {
  assert.deepEqual(gapsOf(at(0, 10_000), '10s', 200_000), [{ fromMs: 20_000, toMs: 200_000 }])
})

test('no points have no gaps, and raw readings have gaps by their own rhythm', () => {
  assert.deepEqual(gapsOf([], '10s', 100_000), [])
  assert.deepEqual(gapsOf(at(0, 1000, 2000, 9000, 10_000), 'raw', 10_000), [
    { fromMs: 2000, toMs: 9000 },
  ])
})

test('a gap breaks the line: a point without a value stands in it', () => {
  const points = at(0, 10_000, 90_000)
  const gaps = gapsOf(points, '10s', 100_000)
  const [xs, mean] = columnsOf(points, { grain: '10s', gaps, band: 'extremes' })
  assert.deepEqual(xs, [5000, 15_000, 55_000, 95_000])
  assert.deepEqual(mean, [1, 1, null, 1])
})

test('the band spans all values, or the deviation to both sides of the mean', () => {
  const [point] = at(0)
  assert.ok(point !== undefined)
  const points = [{ ...point, mean: 4, min: 1, max: 9, stddev: 2 }]
  const edges = (band: Band) => columnsOf(points, { grain: '10s', gaps: [], band }).slice(2).flat()
  assert.deepEqual(edges('extremes'), [9, 1])
  assert.deepEqual(edges('deviation'), [6, 2])
  assert.deepEqual(
    columnsOf([{ ...point, mean: null, stddev: null }], {
      ...{ grain: '10s', gaps: [] },
      band: 'deviation',
    }).slice(1),
    [[null], [null], [null]],
  )
})

test('a point alone between two gaps is drawn as a dot', () => {
  assert.deepEqual(lonelyIndices([1, null, 2, null, 3, 4]), [0, 2])
  assert.deepEqual(lonelyIndices([]), [])
})

test('one point says nothing about a rhythm, so nothing is missing after it', () => {
  assert.deepEqual(gapsOf(at(0), '10s', 3_600_000), [])
})

test('of a gap only what lies in the span is counted', () => {
  const gaps = gapsOf(at(0, 10_000, 3_600_000, 3_610_000), '10s', 3_700_000)
  const shown = { fromMs: 3_000_000, toMs: 3_650_000 }
  assert.deepEqual(gapsWithin(gaps, shown), [
    { fromMs: 3_000_000, toMs: 3_600_000 },
    { fromMs: 3_620_000, toMs: 3_650_000 },
  ])
  assert.deepEqual(gapsWithin(gaps, { fromMs: 0, toMs: 20_000 }), [])
})
