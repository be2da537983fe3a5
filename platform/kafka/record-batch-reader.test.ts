/** Record batches, read in place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PackedRecords } from './packed-records.ts'
import { forEachRecord } from './record-batch-reader.ts'
import { rawBatchOf } from './split-records.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)))

test('the place of a value holds what the value is, where there is one', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(bytes, bytes), { maxLength: 9 }), (written) => {
      const records = new PackedRecords(0)
      for (const [key, value] of written) records.append({ key, value }, 5)
      let seen = 0
      forEachRecord(rawBatchOf(records), 0, ({ key, value, place }) => {
        assert.deepEqual([key, value], written[seen])
        assert.ok(place !== undefined)
        const { bytes: whole, valueFrom, valueTo } = place
        assert.equal(valueTo < valueFrom, value === null)
        if (value !== null) assert.deepEqual(whole.subarray(valueFrom, valueTo), value)
        seen += 1
      })
      assert.equal(seen, written.length)
    }),
  )
})
