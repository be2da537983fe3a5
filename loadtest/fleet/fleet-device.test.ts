import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FleetDevice, type FleetMix } from './fleet-device.ts'

const MIX: FleetMix = {
  unstamped: 0,
  duplicates: 0.1,
  outOfOrder: 0.2,
  late: 0.1,
  lateMsMax: 3_600_000,
  packed: 0.1,
}
const T = Date.UTC(2026, 0, 1)

const messagesOf = (mix: FleetMix, seed = 's', count = 500) => {
  const device = new FleetDevice({ id: 'd', seed, mix })
  return Array.from({ length: count }, (_, index) => device.next(T + index * 10))
}

describe('a device of a load test', () => {
  it('repeats its stream for the same seed only', () => {
    assert.deepEqual(messagesOf(MIX), messagesOf(MIX))
    assert.notDeepEqual(messagesOf(MIX), messagesOf(MIX, 'other'))
  })

  it('never stamps ahead of its clock and repeats a time only in a whole duplicate', () => {
    const seen = new Map<number, unknown>()
    for (const [index, { samples }] of messagesOf(MIX).entries()) {
      for (const [ts, values] of samples) {
        assert.ok(ts !== null && ts <= T + index * 10)
        if (seen.has(ts)) assert.deepEqual(seen.get(ts), values)
        seen.set(ts, values)
      }
    }
  })

  it('mixes late, out-of-order, duplicate and packed messages in about the asked shares', () => {
    const messages = messagesOf(MIX, 's', 4000)
    const backs = messages.flatMap(({ samples }, index) =>
      samples.map(([ts]) => T + index * 10 - (ts ?? 0)),
    )
    const share = (from: number, to: number): number =>
      backs.filter((back) => back >= from && back < to).length / backs.length
    assert.ok(Math.abs(share(29_000, Infinity) - 0.1) < 0.03)
    assert.ok(Math.abs(share(190, 29_000) - 0.2) < 0.04)
    const duplicates = messages.filter((message, index) => message === messages[index - 1]).length
    assert.ok(Math.abs(duplicates / messages.length - 0.1) < 0.03)
    assert.ok(messages.some(({ samples }) => samples.length > 1))
  })

  it('without a clock sends values without a time, each with a number of its own', () => {
    const messages = messagesOf({ ...MIX, unstamped: 1 })
    const numbers = messages.map(({ samples }) => samples[0]?.[1]['seq'])
    assert.equal(new Set(numbers).size, messages.length)
    assert.ok(messages.every(({ payload }) => !payload.includes('"ts"')))
  })
})
