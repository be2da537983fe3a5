/** When a fetch loop that stands still is a defect, and when it waits with good reason. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { ConsumerWatch } from './consumer-watch.ts'

function watched(t: TestContext, look: () => Promise<void>) {
  let nowMs = 1_000
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs }
  const looked: (() => void)[] = []
  const watch = new ConsumerWatch(clock, async () => {
    for (const resolve of looked.splice(0)) resolve()
    await look()
  })
  watch.start(1)
  const alive = setInterval(() => {}, 1_000) // The watch alone keeps no process alive.
  t.after(() => {
    clearInterval(alive)
    watch.stop()
  })
  return {
    watch,
    pass: (ms: number) => void (nowMs += ms),
    /** Kafka was asked again, and what it answered was taken in. */
    asked: async () => {
      await new Promise<void>((resolve) => looked.push(resolve))
      await new Promise(setImmediate)
    },
  }
}

test('a loop that stands still for a minute while Kafka answers is stalled, until it moves', async (t) => {
  const { watch, pass, asked } = watched(t, async () => {})
  pass(60_000)
  await asked()
  assert.equal(watch.stalled(), undefined)
  pass(1)
  assert.match(watch.stalled() ?? '', /nothing was fetched for 60 s though Kafka answers/)
  watch.moved()
  assert.equal(watch.stalled(), undefined)
})

test('a loop that waits for a Kafka that refuses is not stalled', async (t) => {
  const { watch, pass, asked } = watched(t, () => Promise.reject(new Error('no broker')))
  pass(120_000)
  await asked()
  assert.equal(watch.stalled(), undefined)
})

test('nor is one that waits for a Kafka that says nothing', async (t) => {
  const { watch, pass, asked } = watched(t, () => new Promise(() => {}))
  await asked()
  pass(120_000)
  assert.notEqual(watch.stalled(), undefined)
  while (watch.stalled() !== undefined) await sleep(1) // The next look finds the last one waiting.
})

test('a watch that was stopped tells nothing', (t) => {
  const { watch, pass } = watched(t, async () => {})
  watch.stop()
  pass(120_000)
  assert.equal(watch.stalled(), undefined)
})
