/** The published tables of docs/LIFECYCLE.md and what is enforced are one. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../platform/package-root.ts'
import { DEVICE_STATES, deviceStateOf } from './device.ts'
import { ACTS, followers, permits } from './lifecycle.ts'

/** Rows of the document's tables with so many cells whose first is a state. */
function rows(cells: number): readonly (readonly string[])[] {
  const text = readFileSync(join(packageRoot(), 'docs', 'LIFECYCLE.md'), 'utf8')
  return text
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter((row) => row.length === cells && deviceStateOf(row[0] ?? '') !== undefined)
}

test('each state permits what its row says', () => {
  const told = rows(1 + ACTS.length)
  assert.deepEqual(
    told.map(([state]) => state),
    DEVICE_STATES,
  )
  for (const [name = '', ...cells] of told) {
    const state = deviceStateOf(name)
    assert.ok(state !== undefined)
    assert.deepEqual(
      cells,
      ACTS.map((act) => (permits(state, act) ? 'yes' : 'no')),
      name,
    )
  }
})

test('each state is followed by those of its row', () => {
  const told = rows(2)
  assert.deepEqual(
    told.map(([state]) => state),
    DEVICE_STATES,
  )
  for (const [name = '', cell = ''] of told) {
    const state = deviceStateOf(name)
    assert.ok(state !== undefined)
    const words = (cell.split(':')[0] ?? '').split(', ').filter((word) => word !== 'none')
    assert.deepEqual(words, followers(state), name)
  }
})
