import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SimulatedDevice } from './simulated-device.ts'

type Entry = { ts?: number; values?: Record<string, unknown> }

/** Runs one device for some steps and gives every payload with the time it was sent at. */
function played(seed: string, index: number, steps: number) {
  const device = new SimulatedDevice({ seed, index })
  const sent: { nowMs: number; text: string }[] = []
  let nowMs = Date.UTC(2026, 0, 1)
  for (let i = 0; i < steps; i++) {
    const step = device.step(nowMs)
    for (const payload of step.payloads) sent.push({ nowMs, text: payload.toString() })
    assert.ok(step.nextAtMs > nowMs)
    nowMs = step.nextAtMs
  }
  return { device, sent }
}

describe('a simulated device', () => {
  it('does the same again for the same seed, and something else for another', () => {
    assert.deepEqual(played('a', 0, 300).sent, played('a', 0, 300).sent)
    assert.notDeepEqual(played('a', 0, 300).sent, played('b', 0, 300).sent)
  })

  it('with a clock stamps every sample, never twice and never ahead of its clock', () => {
    const { device, sent } = played('a', 0, 3000)
    assert.ok(device.stamped)
    const seen = new Set<number>()
    for (const { nowMs, text } of sent) {
      const body: Entry | Entry[] = JSON.parse(text)
      for (const { ts = Infinity } of Array.isArray(body) ? body : [body]) {
        assert.ok(Number.isInteger(ts) && ts <= Math.round(nowMs))
        assert.ok(!seen.has(ts), `${ts} twice`)
        seen.add(ts)
      }
    }
  })

  it('with a clock flushes what it measured out of reach in packed arrays', () => {
    const late = played('a', 0, 3000).sent.filter(({ text }) => text.startsWith('['))
    assert.ok(late.length > 0)
    const first: Entry[] = JSON.parse(late[0]?.text ?? '[]')
    assert.ok(first.every(({ values }) => typeof values?.['temperature'] === 'number'))
  })

  it('without a clock sends plain values', () => {
    const { device, sent } = played('a', 1, 100)
    assert.ok(!device.stamped)
    const values: Record<string, unknown> = JSON.parse(sent[0]?.text ?? '{}')
    assert.deepEqual(Object.keys(values), [
      'temperature',
      'humidity',
      'vibration',
      'door_open',
      'mode',
    ])
  })

  it('sends bursts', () => {
    const { sent } = played('a', 1, 2000)
    const perMoment = new Map<number, number>()
    for (const { nowMs } of sent) perMoment.set(nowMs, (perMoment.get(nowMs) ?? 0) + 1)
    assert.ok(Math.max(...perMoment.values()) > 5)
  })
})
