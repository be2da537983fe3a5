import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlushLoop } from './flush-loop.ts'
import { aroundEach } from './sinks/rollup-sink.ts'
import { emptyFlush } from './testing/empty-flush.ts'
import { MemorySink } from './testing/memory-sink.ts'
import type { Timers } from './timers.ts'

const BEAT_MS = 1_000

/** Time that passes when the test says so. */
class HandTimers implements Timers {
  nowMs = 0
  readonly #waiting = new Set<Readonly<{ dueMs: number; task: () => void }>>()

  after(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: this.nowMs + delayMs, task }
    this.#waiting.add(timer)
    return () => this.#waiting.delete(timer)
  }

  /** What follows without time passing has happened when this resolves. */
  async pass(ms: number): Promise<void> {
    this.nowMs += ms
    for (const timer of this.#waiting) {
      if (timer.dueMs > this.nowMs) continue
      this.#waiting.delete(timer)
      timer.task()
    }
    await promises()
  }
}

const promises = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const MESSAGE = { tenant: 'acme', device: 'd0', seq: 1, recvTs: 0, partition: 0, offset: 0 }

/** A loop that notes when flushes begin; one that waits for `tables` is not over before. */
async function startedLoop() {
  const timers = new HandTimers()
  const flushedAtMs: number[] = []
  const world = { tables: Promise.resolve() }
  const sink = aroundEach(new MemorySink(), async (call) => {
    await world.tables
    return call()
  })
  const { snapshot, ...rest } = emptyFlush(0, async () => true)
  const loop = new FlushLoop({
    intervalMs: BEAT_MS,
    timers,
    clock: { nowMs: () => timers.nowMs, monotonicMs: () => timers.nowMs },
    ports: { sink, corrected: () => {}, checkRawRetention: () => {} },
    collect() {
      flushedAtMs.push(timers.nowMs)
      const flush = { ...rest, snapshot: { ...snapshot, messages: [MESSAGE] } }
      return { flushes: [flush], release: () => {} }
    },
    flushed: () => {},
    settled: () => {},
  })
  loop.start()
  await promises()
  /** Tables that take no row until the answer is called. */
  const hold = (): (() => void) => {
    let release = (): void => {}
    world.tables = new Promise((resolve) => {
      release = resolve
    })
    return release
  }
  return { loop, timers, flushedAtMs, hold }
}

test('whoever hurries while a flush is running gets the next one as soon as it is over', async () => {
  const { loop, timers, flushedAtMs, hold } = await startedLoop()
  const release = hold()
  await timers.pass(BEAT_MS)
  loop.hurry()
  await timers.pass(100)
  assert.deepEqual(flushedAtMs, [1_000])
  release()
  await promises()
  assert.deepEqual(flushedAtMs, [1_000, 1_100])
  // Once: from here on the beat is waited for again.
  await timers.pass(BEAT_MS - 1)
  assert.equal(flushedAtMs.length, 2)
  await timers.pass(1)
  assert.equal(flushedAtMs.length, 3)
  await loop.stop()
})

test('who hurries in a moment flushes that long after the first to ask', async () => {
  const { loop, timers, flushedAtMs } = await startedLoop()
  loop.hurryAfter(250)
  await timers.pass(200)
  loop.hurryAfter(250)
  await timers.pass(49)
  assert.deepEqual(flushedAtMs, [])
  await timers.pass(1)
  assert.deepEqual(flushedAtMs, [250])
  await loop.stop()
})

test('a flush that comes before takes the hurry with it, and the next one has its full time', async () => {
  const { loop, timers, flushedAtMs } = await startedLoop()
  await timers.pass(900)
  loop.hurryAfter(250)
  await timers.pass(100)
  assert.deepEqual(flushedAtMs, [1_000])
  await timers.pass(100)
  loop.hurryAfter(250)
  await timers.pass(100)
  assert.deepEqual(flushedAtMs, [1_000])
  await timers.pass(150)
  assert.deepEqual(flushedAtMs, [1_000, 1_350])
  await loop.stop()
})

test('a stop in the middle of a flush flushes what came meanwhile too', async () => {
  const { loop, timers, flushedAtMs, hold } = await startedLoop()
  const release = hold()
  await timers.pass(BEAT_MS)
  const stopped = loop.stop()
  release()
  await stopped
  assert.deepEqual(flushedAtMs, [1_000, 1_000])
})
