import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RestartWindow } from './restart-window.ts'

const POLICY = { restartsMax: 5, withinMs: 30_000, firstDelayMs: 200, delayMsMax: 1_000 }

test('delays grow up to the largest, and the sixth restart in the window is refused', () => {
  const window = new RestartWindow(POLICY)
  const delays = [0, 1, 2, 3, 4].map((nowMs) => window.decide(nowMs, 1))
  assert.deepEqual(
    delays.map((decision) => decision.kind === 'restart' && decision.delayMs),
    [200, 400, 800, 1_000, 1_000],
  )
  assert.deepEqual(window.decide(5, 0), { kind: 'give_up' })
})

test('restarts that lie outside of the window are forgotten', () => {
  const window = new RestartWindow(POLICY)
  for (let nowMs = 0; nowMs < 1e6; nowMs += 30_000) {
    assert.deepEqual(window.decide(nowMs, 0), { kind: 'restart', delayMs: 100 })
  }
})

test('property: never more restarts in any window than allowed, and delays within bounds', () => {
  const gapsMs = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 60 })
  fc.assert(
    fc.property(gapsMs, fc.double({ min: 0, max: 0.999, noNaN: true }), (gaps, jitter) => {
      const window = new RestartWindow(POLICY)
      const restartsAtMs: number[] = []
      let nowMs = 0
      for (const gapMs of gaps) {
        nowMs += gapMs
        const decision = window.decide(nowMs, jitter)
        if (decision.kind === 'give_up') continue
        assert(decision.delayMs >= 100 && decision.delayMs <= 1_000)
        restartsAtMs.push(nowMs)
        const recent = restartsAtMs.filter((atMs) => nowMs - atMs < POLICY.withinMs)
        assert(recent.length <= POLICY.restartsMax)
      }
    }),
  )
})
