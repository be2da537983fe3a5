import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../platform/clock.ts'
import { watchWishToEnd } from './wish-to-end.ts'

test('signals within a second are one wish, a later one means now', () => {
  let nowMs = 0
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs }
  let endedNow = 0
  const before = process.listenerCount('SIGINT')
  const wish = watchWishToEnd(clock, () => (endedNow += 1))

  process.emit('SIGINT')
  assert.equal(wish.signal.aborted, true)
  nowMs = 5 // As npm on a terminal does it.
  process.emit('SIGINT')
  nowMs = 1_000
  process.emit('SIGTERM')
  assert.equal(endedNow, 0)
  nowMs = 1_001
  process.emit('SIGINT')
  assert.equal(endedNow, 1)

  wish.release()
  assert.equal(process.listenerCount('SIGINT'), before)
})
