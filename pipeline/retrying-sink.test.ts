import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../platform/failure.ts'
import { retryingSink } from './retrying-sink.ts'
import { MemorySink } from './testing/memory-sink.ts'
import { aroundEach, type RollupSink } from './sinks/rollup-sink.ts'
import type { Timers } from './timers.ts'
import { RawRows } from './window/raw-rows.ts'
import { Series } from './window/series.ts'

/** Time that passes as soon as somebody waits for it. */
function instantTimers(): Timers & { waits: number[] } {
  const waits: number[] = []
  const after: Timers['after'] = (delayMs, task) => {
    waits.push(delayMs)
    setImmediate(task)
    return () => {}
  }
  return { waits, after }
}

const away = new Failure('unavailable', 'away')
const series = new Series('acme', 'd0', 'm', 'number')

test('the very same rows are offered until they are taken, less and less often', async () => {
  const offered: unknown[] = []
  const timers = instantTimers()
  const sink: RollupSink = {
    ...methodsOf(new MemorySink()),
    async insertSamples(batches) {
      offered.push(batches)
      if (offered.length < 9) throw away
    },
  }
  const batches = [new RawRows(0)]
  let told = 0
  const ports = { timers, stopped: () => false, retrying: () => (told += 1) }
  await retryingSink(sink, ports).insertSamples(batches)
  assert.ok(offered.every((each) => each === batches))
  assert.equal(told, 8)
  assert.deepEqual(timers.waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
})

test('a read that breaks off begins anew and shows no sample twice', async () => {
  let reads = 0
  const sink: RollupSink = {
    ...methodsOf(new MemorySink()),
    async readSamples(_cells, begin) {
      reads += 1
      const fold = begin()
      fold.add(series, 1, 10, '')
      if (reads === 1) throw away
      fold.add(series, 2, 20, '')
      return fold
    },
  }
  const ports = { timers: instantTimers(), stopped: () => false, retrying: () => {} }
  const { seen } = await retryingSink(sink, ports).readSamples([], () => new SeenTimes())
  assert.deepEqual(seen, [1, 2])
})

class SeenTimes {
  readonly seen: number[] = []

  add(_series: Series, tsMs: number): void {
    this.seen.push(tsMs)
  }
}

test('rows that will never be taken, and any failure while stopping, are thrown', async () => {
  const refusing = (error: Error): RollupSink => ({
    ...methodsOf(new MemorySink()),
    insertSeries: async () => {
      throw error
    },
  })
  const ports = { timers: instantTimers(), retrying: () => assert.fail('must not repeat') }
  const bad = new Failure('internal', 'type mismatch')
  const live = { ...ports, stopped: () => false }
  await assert.rejects(retryingSink(refusing(bad), live).insertSeries([]), bad)
  await assert.rejects(
    retryingSink(refusing(new TypeError('bug')), live).insertSeries([]),
    TypeError,
  )
  const stopping = { ...ports, stopped: () => true }
  await assert.rejects(retryingSink(refusing(away), stopping).insertSeries([]), away)
})

const methodsOf = (sink: MemorySink): RollupSink => aroundEach(sink, (call) => call())
