/** Bytes that are not what Kafka stored: noticed wherever they are, and told with what was good. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { crc32c } from './crc32c.ts'
import { type BatchMessage, fetchedBatches } from './fetched-batches.ts'
import { KafkaLogBatch } from './kafkajs-batch.ts'
import { PackedRecords } from './packed-records.ts'
import { encodeProduceBody } from './produce-request.ts'

const noCodec = () => Promise.reject(new Error('a batch is compressed by codec 7'))

/** Bytes before the batch in a Produce request of the topic `t`. */
function batchAt(baseOffset: number, values: readonly string[]): Buffer {
  const records = new PackedRecords(0)
  values.forEach((value, n) => records.append({ key: null, value: Buffer.from(value) }, 1_000 + n))
  const ids = { producerId: 1n, producerEpoch: 0, firstSequence: 0 }
  const body = encodeProduceBody({ topic: 't', records, acks: -1, timeoutMs: 1, ...ids })
  const batch = Buffer.from(body.subarray(body.length - lengthOfBatch(body)))
  batch.writeBigInt64BE(BigInt(baseOffset), 0)
  return batch
}

/** The record set is the last field of the request, after its own length. */
function lengthOfBatch(body: Buffer): number {
  for (let at = 0; at + 4 < body.length; at++) {
    if (body.readInt32BE(at) === body.length - at - 4) return body.length - at - 4
  }
  throw new Error('no record set found')
}

const END = 1_000
/** As the consumer sees a fetch from offset 10. */
function readAs(messages: readonly BatchMessage[]): KafkaLogBatch {
  const fetched = { topic: 't', partition: 0, highWatermark: String(END), messages }
  return new KafkaLogBatch(fetched as unknown as never, 10) // `as`: what it reads of a kafkajs Batch.
}

function valuesOf(batch: KafkaLogBatch): (string | undefined)[] {
  const values: (string | undefined)[] = []
  batch.forEach(({ value }) => values.push(value?.toString()))
  return values
}

const FIRST = batchAt(10, ['a', 'b'])
const SECOND = batchAt(12, ['c', 'd', 'e'])
const BOTH = Buffer.concat([FIRST, SECOND])

describe('fetched batches', () => {
  test('are read up to the one that is cut', async () => {
    for (let cut = FIRST.length; cut < BOTH.length; cut++) {
      const batch = readAs(await fetchedBatches(BOTH.subarray(0, cut), noCodec))
      assert.deepEqual([valuesOf(batch), batch.damage], [['a', 'b'], undefined], `cut at ${cut}`)
    }
    const whole = readAs(await fetchedBatches(BOTH, noCodec))
    assert.deepEqual([valuesOf(whole), whole.lastOffset], [['a', 'b', 'c', 'd', 'e'], 14])
  })

  test('a flipped bit hides no record: what is read is right, and the rest is read again', async () => {
    const flips = fc.record({ at: fc.nat(BOTH.length - 1), bit: fc.nat(7) })
    await fc.assert(
      fc.asyncProperty(flips, async ({ at, bit }) => {
        // No checksum covers the leader epoch, which says nothing of the records, and the base
        // offset of a later batch, which may jump: only an encrypted line guards that.
        const inBatch = at < FIRST.length ? at : at - FIRST.length
        fc.pre(inBatch < 12 ? at < FIRST.length || inBatch >= 8 : inBatch >= 16)
        const flipped = Buffer.from(BOTH)
        flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at)
        const messages = await fetchedBatches(flipped, noCodec)
        const batch = readAs(messages.filter(({ offset }) => BigInt(offset) >= 10n)) // as kafkajs
        const values = valuesOf(batch)
        // A jump has to be seen twice before the consumer believes it.
        if (batch.jumpsTo !== undefined) return
        assert.deepEqual(values, ['a', 'b', 'c', 'd', 'e'].slice(0, values.length))
      }),
      { numRuns: 1_000 },
    )
  })

  test('offsets behind the end of the log, or out of order, are damage', async () => {
    const behind = readAs(await fetchedBatches(batchAt(END - 1, ['a', 'b']), noCodec))
    assert.match(behind.damage ?? '', /do not fit a log that ends at 1000/)
    const again = readAs(await fetchedBatches(Buffer.concat([FIRST, FIRST]), noCodec))
    assert.deepEqual(valuesOf(again), ['a', 'b'])
    assert.match(again.damage ?? '', /do not fit/)
  })

  test('old formats, unknown codecs and lengths that cannot be are told', async () => {
    const damageOf = async (change: (batch: Buffer) => void) => {
      const batch = Buffer.from(FIRST)
      change(batch)
      batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
      return readAs(await fetchedBatches(batch, noCodec)).damage
    }
    assert.match((await damageOf((batch) => batch.writeUInt8(1, 16))) ?? '', /magic byte 1/)
    assert.match((await damageOf((batch) => batch.writeInt16BE(7, 21))) ?? '', /codec 7/)
    assert.match((await damageOf((batch) => batch.writeInt32BE(-5, 8))) ?? '', /shorter than/)
    assert.match((await damageOf((batch) => batch.writeInt32BE(9_999, 8))) ?? '', /ends behind/)
    const [short] = await fetchedBatches(FIRST.subarray(0, 7), noCodec)
    assert.deepEqual(short?.content, { damage: 'a record batch ends behind its response' })
    assert.deepEqual(await fetchedBatches(Buffer.alloc(0), noCodec), [])
  })
})
