import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ListedDevice, surveyOf } from './survey.ts'

const NOW_MS = 10_000_000
const device = (id: string, agoMs?: number): ListedDevice => ({
  id,
  name: id,
  state: 'active',
  ...{ stateReason: '', stateBy: 'system', stateAt: 0, uid: '', version: 1 },
  clockPolicy: 'reject',
  createdAt: 0,
  latest: agoMs === undefined ? {} : { t: { value: 1, at: NOW_MS - agoMs } },
})
const fleet = [
  device('a', 1000),
  device('b', 3_600_000),
  device('c'),
  device('d', 60_000),
  device('e', 900_001),
  device('f', 0),
]

test('every device is counted once, by when it was heard last', () => {
  const { counts } = surveyOf(fleet, true, NOW_MS)
  assert.deepEqual(counts, { live: 2, quiet: 1, silent: 2, never: 1 })
})

test('problems come first, the newest on top, and live devices keep their order', () => {
  const ids = surveyOf(fleet, true, NOW_MS).byProblem.map(({ id }) => id)
  assert.deepEqual(ids, ['e', 'b', 'd', 'c', 'a', 'f'])
})
