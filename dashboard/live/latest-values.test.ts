import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heardAt, type LatestByDevice, mergeLatest } from './latest-values.ts'

const heard = (at: number, value: number, metric = 'm') => ({ device: 'd', metric, at, value })

function shown(known: LatestByDevice): unknown[] {
  const latest = known.get('d')?.['m']
  return [latest?.at, latest?.value]
}

test('a series remembers the digits that it has shown', () => {
  const once = mergeLatest(new Map(), [heard(1, 57.8)])
  const twice = mergeLatest(once, [heard(2, 57)])
  assert.deepEqual(twice.get('d')?.['m']?.digits, { decimals: 1, size: 57.8 })
})

test('the newest by event time stays, whatever arrives later', () => {
  const known = mergeLatest(new Map(), [heard(20, 2), heard(10, 1)])
  assert.deepEqual(shown(known), [20, 2])
})

test('a correction at the same time replaces the value', () => {
  const known = mergeLatest(new Map(), [heard(20, 2), heard(20, 3)])
  assert.deepEqual(shown(known), [20, 3])
})

test('nothing new is the same map, so that nothing is drawn again', () => {
  const known = mergeLatest(new Map(), [heard(20, 2)])
  assert.equal(mergeLatest(known, [heard(20, 2), heard(19, 9)]), known)
})

test('a device was heard when its newest metric was', () => {
  const known = mergeLatest(new Map(), [heard(20, 2), heard(30, 1, 'other')])
  assert.equal(heardAt(known.get('d')), 30)
  assert.equal(heardAt({}), undefined)
})
