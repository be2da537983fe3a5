import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../platform/clock.ts'
import { MemoryLogServer } from '../platform/kafka/testing/memory-log-server.ts'
import { createMemoryLog } from '../platform/kafka/testing/memory-log.ts'
import { topicSpecs } from '../schemas/topic-specs.ts'
import { largestAppendMs } from './log-tail.ts'

test('the largest append time is exact, also where the broker clock stepped back', async () => {
  const server = new MemoryLogServer({ clock: systemClock })
  for (const spec of topicSpecs('', 2, 1)) server.createTopic(spec)
  const admin = createMemoryLog({ server, clock: systemClock }).admin()
  const partition = server.partition('telemetry.v1', 1)
  assert.equal(await largestAppendMs(admin, 'telemetry.v1', 1), 0)
  for (const timestampMs of [1_700_000_000_001, 1_700_000_777_777, 1_700_000_000_500]) {
    partition.push({ timestampMs, key: null, value: null, headers: {} })
  }
  assert.equal(await largestAppendMs(admin, 'telemetry.v1', 1), 1_700_000_777_777)
  assert.equal(await largestAppendMs(admin, 'telemetry.v1', 0), 0)
})
