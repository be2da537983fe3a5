import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BACKOFF, backoffMs } from './backoff.ts'

test('the wait grows with every attempt, is spread by chance, and has an end', () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.nat(100_000), chance, (attempt, luck) => {
      const waitMs = backoffMs(attempt, luck)
      assert.ok(waitMs >= BACKOFF.firstMs / 2 && waitMs <= BACKOFF.longestMs)
      assert.ok(backoffMs(attempt + 1, luck) >= waitMs)
    }),
  )
})
