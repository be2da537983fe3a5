import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachLimited } from './limit-concurrency.ts'

test('every item is worked on once, never more at a time than allowed', async () => {
  let underWay = 0
  let most = 0
  const done: number[] = []
  await forEachLimited(3, [1, 2, 3, 4, 5, 6, 7], async (item) => {
    most = Math.max(most, (underWay += 1))
    await new Promise((resolve) => setImmediate(resolve))
    underWay -= 1
    done.push(item)
  })
  assert.deepEqual(
    done.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7],
  )
  assert.equal(most, 3)
})

test('a failure is told', async () => {
  const failing = forEachLimited(2, ['good', 'bad'], async (item) => {
    if (item === 'bad') throw new Error('no')
  })
  await assert.rejects(failing, /no/)
})
