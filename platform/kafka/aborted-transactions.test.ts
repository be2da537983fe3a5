/** What KIP-98 says of a fetch that begins in the midst of transactions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { committedBatches } from './aborted-transactions.ts'
import { PackedRecords } from './packed-records.ts'
import type { RawBatch } from './record-batch-reader.ts'
import { rawBatchOf } from './split-records.ts'

const [COMMIT, ABORT] = [1, 0]

function batch(baseOffset: number, producerId: bigint, change: Partial<RawBatch> = {}): RawBatch {
  const records = new PackedRecords(0)
  records.append({ key: null, value: Buffer.from('v') }, 1_000)
  const places = { baseOffset, lastOffset: baseOffset, producerId }
  return { ...rawBatchOf(records), inTransaction: true, ...places, ...change }
}

function marker(baseOffset: number, producerId: bigint, type: number): RawBatch {
  const records = new PackedRecords(0)
  records.append({ key: Buffer.from([0, 0, 0, type]), value: Buffer.alloc(6) }, 1_000)
  const { body } = rawBatchOf(records)
  return batch(baseOffset, producerId, { isControl: true, body })
}

const offsetsOf = (batches: readonly RawBatch[]): number[] =>
  batches.map(({ baseOffset }) => baseOffset)

test('all transactions that began before the fetch are known, and end at their markers', () => {
  const fetched = [
    batch(20, 1n),
    batch(21, 2n),
    batch(22, 3n),
    batch(23, 2n, { inTransaction: false }),
    marker(24, 2n, ABORT),
    batch(25, 2n),
    batch(26, 1n),
    marker(27, 1n, ABORT),
    marker(28, 2n, COMMIT),
    marker(29, 3n, COMMIT),
  ]
  const aborted = [
    { producerId: '2', firstOffset: '12' },
    { producerId: '1', firstOffset: '10' },
  ]
  assert.deepEqual(offsetsOf(committedBatches(fetched, aborted)), [22, 23, 25])
})

test('a marker whose record compaction has taken is left out like any other', () => {
  const empty = { count: 0, body: Buffer.alloc(0), isControl: true }
  assert.deepEqual(offsetsOf(committedBatches([batch(5, 1n, empty), batch(6, 1n)], [])), [6])
})

test('a log without transactions is left as it is', () => {
  const plain = [batch(1, -1n, { inTransaction: false })]
  assert.equal(committedBatches(plain, []), plain)
})
