import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type HourCount, largeDays, stretchesOf } from './stretches.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const PARTITIONS = 12

const week = (samples: number): HourCount[] =>
  Array.from({ length: 7 * 24 * PARTITIONS }, (_, n) => ({
    ...{ partition: n % PARTITIONS, samples },
    startMs: Math.floor(n / PARTITIONS) * HOUR_MS,
  }))

test('a week of a million samples is read day by day, not in 2,016 hours of partitions', () => {
  const days = stretchesOf(week(500))
  assert.equal(days.length, 7)
  for (const { spanMs, partitions } of days) {
    assert.deepEqual([spanMs, partitions.length], [DAY_MS, PARTITIONS])
  }
  assert.equal(stretchesOf(week(5_000)).length, 7 * 24)
  assert.equal(stretchesOf(week(50_000)).length, 7 * 24 * PARTITIONS)
  assert.deepEqual([...largeDays(week(500))], [])
  assert.equal(largeDays(week(5_000)).size, 7)
})

test('every hour with samples lies in exactly one stretch, and no stretch is larger than allowed', () => {
  const hour = fc.record({
    partition: fc.nat(3),
    startMs: fc.nat(60).map((n) => n * HOUR_MS),
    samples: fc.integer({ min: 1, max: 50 }),
  })
  const hours = fc.uniqueArray(hour, {
    maxLength: 80,
    selector: ({ partition, startMs }) => `${partition} ${startMs}`,
  })
  fc.assert(
    fc.property(hours, fc.integer({ min: 50, max: 1_000 }), (all, samplesMax) => {
      const stretches = stretchesOf(all, samplesMax)
      for (const { partition, startMs } of all) {
        const holders = stretches.filter(
          (each) =>
            each.partitions.includes(partition) &&
            startMs >= each.startMs &&
            startMs < each.startMs + each.spanMs,
        )
        assert.equal(holders.length, 1)
      }
      for (const { samples } of stretches) assert.ok(samples <= samplesMax)
    }),
  )
})
