/** What a plan holds, whatever its seed: every message, and the shares it promises. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Delivery, disordered, disorderOf, inOrder, LATE_MS_MAX } from './delivery-plan.ts'
import { DAY_MS, type Message, messageSet } from './message-set.ts'

const END_MS = 20_000 * DAY_MS
const LATENESS_MS = 15_000

const someSet = fc.record({
  seed: fc.string({ minLength: 1 }),
  samples: fc.integer({ min: 4_000, max: 12_000 }),
  partitions: fc.integer({ min: 1, max: 8 }),
})

test('a plan delivers every message, a tenth again, three tenths out of order, a twentieth late', () => {
  fc.assert(
    fc.property(someSet, ({ seed, samples, partitions }) => {
      const { messages } = messageSet(seed, { samples, endMs: END_MS })
      const plan = disordered(messages, { seed, partitions, latenessMs: LATENESS_MS })
      assert.deepEqual(new Set(plan.map(({ message }) => message)), new Set(messages))
      const disorder = disorderOf(plan, LATENESS_MS)
      const isShare = (part: number, share: number): boolean =>
        part >= share * disorder.samples && part < share * disorder.samples + 4
      assert(isShare(disorder.again, 0.1), JSON.stringify(disorder))
      assert(isShare(disorder.outOfOrder, 0.3), JSON.stringify(disorder))
      assert(isShare(disorder.late, 0.05), JSON.stringify(disorder))
      assert(disorder.lateMsMax > DAY_MS && disorder.lateMsMax <= LATE_MS_MAX)
      assert.equal(disorder.delivered, disorder.samples + disorder.again)
      const { late, outOfOrder, again } = disorderOf(inOrder(messages, partitions), LATENESS_MS)
      assert.deepEqual([late, outOfOrder, again], [0, 0, 0])
    }),
    { numRuns: 20 },
  )
})

test('the same seed gives the same samples in the same disorder, another one others', () => {
  const plan = (seed: string): Delivery[] => {
    const { messages } = messageSet(seed, { samples: 4_000, endMs: END_MS })
    return disordered(messages, { seed, partitions: 5, latenessMs: LATENESS_MS })
  }
  assert.deepEqual(plan('a'), plan('a'))
  assert.notDeepEqual(plan('a'), plan('b'))
})

test('a sample is late from the moment its smallest window is closed', () => {
  const at = (tsMs: number, device = 'd'): Delivery => ({
    message: message(tsMs, device),
    partition: 0,
  })
  const lateBehind = (newestMs: number): number =>
    disorderOf([at(newestMs, 'other'), at(100_001)], LATENESS_MS).late
  assert.equal(lateBehind(124_999), 0)
  assert.equal(lateBehind(125_000), 1)
  const again = at(100_001)
  assert.deepEqual(disorderOf([again, at(100_500), again, at(125_000), again], LATENESS_MS), {
    ...{ samples: 3, delivered: 5, again: 2, outOfOrder: 0, late: 0, lateAgain: 1, lateMsMax: 0 },
  })
})

const message = (tsMs: number, device: string): Message => ({
  tsMs,
  samples: 1,
  record: {
    ...{ tenant: 't', device, recvTs: tsMs, protocol: 'mqtt', stamped: true },
    ...{ numbers: [], booleans: [], strings: [] },
  },
})
