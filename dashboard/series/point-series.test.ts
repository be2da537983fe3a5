import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Point, PointSeries, pointOfReading } from './point-series.ts'

const point = (start: number, version: number, final = true): Point => ({
  ...pointOfReading(start, version),
  version,
  final,
})

const arrivals = fc.array(
  fc.record({ start: fc.integer({ min: 0, max: 20 }), version: fc.integer({ min: 0, max: 5 }) }),
  { maxLength: 60 },
)

test('whatever the order and however often it arrives, the highest version of a window stays', () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 0, max: 60 }), (all, cut) => {
      const points = all.map(({ start, version }) => point(start * 10_000, version))
      const straight = new PointSeries('10s')
      straight.merge(points)
      const shuffled = new PointSeries('10s')
      shuffled.merge(points.slice(cut))
      shuffled.merge(points.toReversed())
      shuffled.merge(points.slice(0, cut))
      assert.deepEqual(shuffled.all(), straight.all())
    }),
  )
})

test('a final window that changes is a correction; an open one that grows is not', () => {
  const series = new PointSeries('10s')
  assert.deepEqual(series.merge([point(0, 1, false)]), { changed: 1, corrected: 0 })
  assert.deepEqual(series.merge([point(0, 2)]), { changed: 1, corrected: 0 })
  assert.deepEqual(series.merge([point(0, 3)]), { changed: 1, corrected: 1 })
  assert.deepEqual(series.merge([point(0, 2)]), { changed: 0, corrected: 0 })
})

test('booleans are drawn as 0 and 1, text is not drawn', () => {
  assert.equal(pointOfReading(0, true).mean, 1)
  assert.equal(pointOfReading(0, false).mean, 0)
  assert.equal(pointOfReading(0, 'idle').mean, null)
})

test('what lies before the kept span is forgotten', () => {
  const series = new PointSeries('10s')
  series.merge([point(0, 1), point(10_000, 1), point(20_000, 1)])
  series.forgetBefore(10_000)
  assert.deepEqual(
    series.all().map(({ start }) => start),
    [10_000, 20_000],
  )
})
