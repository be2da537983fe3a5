/** The replays of a log, as their headers name them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../platform/clock.ts'
import { MemoryLogServer } from '../../../platform/kafka/testing/memory-log-server.ts'
import { createMemoryLog } from '../../../platform/kafka/testing/memory-log.ts'
import { topicSpecs } from '../../../schemas/topic-specs.ts'
import { REPLAY_HEADERS } from '../../dead-letters/letter.ts'
import { systemTimers } from '../../timers.ts'
import { readReplays } from './replayed-records.ts'

const TOPIC = 'telemetry.v1'

test('a replay stands for its original and for other replays of it, and for nothing else', async () => {
  const server = new MemoryLogServer({ clock: systemClock })
  for (const spec of topicSpecs('', 2, 1)) server.createTopic(spec)
  const push = (partition: number, origin?: string): void => {
    const headers = origin === undefined ? {} : { [REPLAY_HEADERS.origin]: Buffer.from(origin) }
    const value = Buffer.from('anything')
    server.partition(TOPIC, partition).push({ timestampMs: 1, key: null, value, headers })
  }
  push(1)
  push(1)
  push(1, `${TOPIC}/1/0`)
  push(1, `${TOPIC}/1/0`)
  push(1, 'another/1/1')
  push(0)
  const log = createMemoryLog({ server, clock: systemClock })
  const admin = log.admin()
  const { signal } = new AbortController()
  const at = (offset: number, partition = 1) => ({ partition, offset })
  const places = [0, 1, 2, 3, 4, 1e12].map((offset) => at(offset)).concat(at(0, 0), at(0, 9))
  const ports = { log, admin, timers: systemTimers, signal }
  const isReplayOf = await readReplays(ports, TOPIC, places)
  assert.ok(isReplayOf(at(2), at(0)))
  assert.ok(isReplayOf(at(3), at(2)))
  for (const other of [at(1), at(4), at(0, 0)]) assert.ok(!isReplayOf(at(2), other))
  assert.ok(!isReplayOf(at(1), at(0)))
  assert.ok(!isReplayOf(at(4), at(1)))
  assert.ok(!isReplayOf(at(1e12), at(0)))
  const nothing = await readReplays(ports, TOPIC, [])
  assert.ok(!nothing(at(2), at(0)))
  await admin.close()
})
