import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import type { Checkpoint, LogAdmin } from '../../platform/kafka/log.ts'
import { waitUntilCounted } from './quiescence.ts'

/** A log whose group has committed what `positions` says, one answer per question. */
function adminWith(
  ends: Readonly<Record<number, number>>,
  positions: (number | undefined)[],
): LogAdmin {
  const refuse = () => Promise.reject(new Error('not asked for'))
  return {
    ensureTopics: refuse,
    partitionCount: refuse,
    offsetsAt: refuse,
    deleteRecords: refuse,
    close: () => Promise.resolve(),
    offsetRange: () =>
      Promise.resolve(
        new Map(Object.entries(ends).map(([p, end]) => [Number(p), { earliest: 0, end }])),
      ),
    committed() {
      const position = positions.length > 1 ? positions.shift() : positions[0]
      const checkpoint: Checkpoint = { offset: 0, metadata: `v1;${position};0;0` }
      return Promise.resolve(new Map(position === undefined ? [] : [[0, checkpoint]]))
    },
  }
}

const wait = (admin: LogAdmin, limitMs = 60_000) =>
  waitUntilCounted({ admin, topic: 't', group: 'g', clock: systemClock, limitMs })

describe('waiting until everything is counted', () => {
  it('ends when the position has reached the end of every partition that has records', async () => {
    await wait(adminWith({ 0: 10, 1: 0 }, [undefined, 3, 10]))
  })

  it('looks at the position, not at the held-back offset', async () => {
    await wait(adminWith({ 0: 10 }, [11]))
  })

  it('says what is open when the time is up', async () => {
    await assert.rejects(wait(adminWith({ 0: 10 }, [4]), 0), /partition 0 is at 4 of 10/)
  })
})
