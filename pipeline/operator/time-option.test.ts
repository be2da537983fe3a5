import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../platform/failure.ts'
import { timeOf } from './time-option.ts'

const NOW_MS = Date.parse('2026-03-01T12:00:00Z')
const read = (text: string): number => timeOf('--since', text, { nowMs: NOW_MS, otherwise: 0 })

test('a time is an age, a number of milliseconds, or RFC 3339', () => {
  assert.equal(read('2h'), NOW_MS - 7_200_000)
  assert.equal(read('30d'), NOW_MS - 30 * 86_400_000)
  assert.equal(read(String(NOW_MS)), NOW_MS)
  assert.equal(read('2026-03-01T13:00:00+01:00'), NOW_MS)
  assert.equal(read(''), 0)
})

test('what is no time is refused with the name of the flag', () => {
  for (const text of ['yesterday', '2w', '-1h', '12', '2026-13-01']) {
    assert.throws(
      () => read(text),
      (error) => error instanceof Failure && error.message.includes('--since'),
      text,
    )
  }
})
