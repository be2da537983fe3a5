import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../platform/clock.ts'
import { SettleLanes } from './settle-lanes.ts'
import { emptyFlush } from './testing/empty-flush.ts'
import { MemorySink } from './testing/memory-sink.ts'

function lanesWith(failed: (error: unknown) => void) {
  const settled: number[] = []
  const ports = { sink: new MemorySink(), corrected: () => {}, checkRawRetention: () => {} }
  const note = (partition: number): void => void settled.push(partition)
  return { settled, lanes: new SettleLanes({ ports, clock: systemClock, settled: note, failed }) }
}

test('a partition whose settling takes long holds up its own commits only, and in their order', async () => {
  const { settled, lanes } = lanesWith((error) => assert.fail(String(error)))
  let arrive: () => void = () => {}
  const letter = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const commits: string[] = []
  const commit = (name: string) => async () => commits.push(name) > 0
  lanes.add(emptyFlush(0, commit('0a'), letter))
  lanes.add(emptyFlush(0, commit('0b')))
  lanes.add(emptyFlush(1, commit('1a')))
  while (settled.length === 0) await new Promise(setImmediate)
  assert.deepEqual(commits, ['1a'])
  assert.equal(lanes.waiting(0), 2)
  arrive()
  await lanes.idle()
  assert.deepEqual(commits, ['1a', '0a', '0b'])
  assert.deepEqual([lanes.waiting(0), lanes.waiting(1)], [0, 0])
})

test('behind a settlement that failed nothing of its partition is committed', async () => {
  const failures: unknown[] = []
  const { settled, lanes } = lanesWith((error) => failures.push(error))
  const lost = new Error('the letter was not taken')
  lanes.add(emptyFlush(0, () => assert.fail('committed over a lost letter'), Promise.reject(lost)))
  lanes.add(emptyFlush(0, () => assert.fail('committed over a failed flush')))
  lanes.add(emptyFlush(1, async () => true))
  await lanes.idle()
  assert.deepEqual(failures, [lost])
  assert.deepEqual(settled, [1])
})
