import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { median, quantile } from './report.ts'

describe('quantiles', () => {
  it('are values of the list, whatever its length', () => {
    assert.equal(quantile([1, 2, 3, 4], 0.5), 3)
    assert.equal(quantile([1, 2, 3, 4], 0.99), 4)
    assert.equal(quantile([7], 0), 7)
    assert.ok(Number.isNaN(quantile([], 0.5)))
  })

  it('of unsorted values: the median sorts by number and leaves the list alone', () => {
    const values = [10, 9, 100]
    assert.equal(median(values), 10)
    assert.deepEqual(values, [10, 9, 100])
  })
})
