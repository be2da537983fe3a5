import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stretches } from './cascade.ts'

const HOUR_MS = 3_600_000

test('thousands of ended hours are read in stretches of a week at most, each hour in one of them', () => {
  const hours = fc.uniqueArray(fc.nat(9_000), { maxLength: 3_000, size: 'max' })
  fc.assert(
    fc.property(hours, (hours) => {
      const starts = hours.sort((a, b) => a - b).map((hour) => hour * HOUR_MS)
      const found = [...stretches(starts, HOUR_MS)]
      const covered = starts.map(
        (start) => found.filter((s) => start >= s.startMs && start + HOUR_MS <= s.endMs).length,
      )
      assert.ok(covered.every((times) => times === 1))
      for (const [n, { startMs, endMs }] of found.entries()) {
        assert.ok(endMs - startMs <= 168 * HOUR_MS)
        assert.ok(starts.includes(startMs) && starts.includes(endMs - HOUR_MS))
        assert.ok(endMs <= (found[n + 1]?.startMs ?? Infinity))
      }
    }),
  )
  const week = Array.from({ length: 1_680 }, (_, hour) => hour * HOUR_MS)
  assert.equal([...stretches(week, HOUR_MS)].length, 10)
})
