import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteGate } from './byte-gate.ts'

test('the gate closes at the high mark and opens at the low one', async () => {
  const gate = new ByteGate({ highBytes: 100, lowBytes: 50 })
  assert.ok(gate.hasRoom())
  await gate.room()
  gate.add(99)
  assert.ok(gate.hasRoom())
  gate.add(1)
  assert.ok(!gate.hasRoom())
  const opened = gate.room()
  gate.remove(49)
  assert.ok(!gate.hasRoom(), 'between the marks it stays closed')
  gate.remove(1)
  await opened
  assert.ok(gate.hasRoom())
  assert.equal(gate.bytes, 50)
})

test('everybody who waits is let in', async () => {
  const gate = new ByteGate({ highBytes: 10, lowBytes: 5 })
  gate.add(10)
  const waiting = Promise.all([gate.room(), gate.room()])
  gate.remove(10)
  await waiting
})

test('it is open below the low mark, closed above the high one, and counts every byte', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 60 })), (steps) => {
      const gate = new ByteGate({ highBytes: 100, lowBytes: 40 })
      let bytes = 0
      for (const [n, step] of steps.entries()) {
        const change = n % 2 === 0 ? step : -Math.min(step, bytes)
        bytes += change
        if (change < 0) gate.remove(-change)
        else gate.add(change)
        assert.equal(gate.bytes, bytes)
        if (bytes >= 100) assert.ok(!gate.hasRoom())
        if (bytes <= 40) assert.ok(gate.hasRoom())
      }
    }),
  )
})
