/** Bytes that are not what Kafka stored: noticed wherever they are, and told with what was good. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { crc32c } from './crc32c.ts'
import { type BatchMessage, fetchedBatches } from './fetched-batches.ts'
import { KafkaLogBatch } from './kafkajs-batch.ts'
import { PackedRecords } from './packed-records.ts'
import { encodeProduceBody } from './produce-request.ts'
import { BATCH_HEADER_BYTES } from './record-batch-reader.ts'

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

/** What compaction leaves of a batch when it has taken all of its records. */
function emptied(batch: Buffer): Buffer {
  const empty = Buffer.from(batch.subarray(0, BATCH_HEADER_BYTES))
  empty.writeInt32BE(empty.length - 12, 8)
  empty.writeInt32BE(0, 57)
  empty.writeUInt32BE(crc32c(empty, 21, empty.length), 17)
  return empty
}

const END = 1_000
type Fetch = Readonly<{ askedFrom: number; end?: number; steps?: ReadonlyMap<number, number> }>

/** As the consumer sees what it asked for. */
function readAs(
  messages: readonly BatchMessage[],
  { askedFrom, end = END, steps = new Map() }: Fetch = { askedFrom: 10 },
  logEnd?: number,
): KafkaLogBatch {
  const answer = { fetchedOffset: String(askedFrom), abortedTransactions: [], messages }
  const fetched = { topic: 't', partition: 0, highWatermark: String(end), ...answer }
  // `as`: what it reads of a kafkajs Batch.
  return new KafkaLogBatch(fetched as unknown as never, { position: askedFrom, steps }, logEnd)
}

function valuesOf(batch: KafkaLogBatch): (string | undefined)[] {
  const values: (string | undefined)[] = []
  batch.forEach(({ value }) => values.push(value?.toString()))
  return values
}

const FIRST = batchAt(10, ['a', 'b'])
const SECOND = batchAt(12, ['c', 'd', 'e'])
const BOTH = Buffer.concat([FIRST, SECOND])

/** The consumer's rounds: the first answer is `flipped`, the later ones are what the log holds. */
async function readThrough(flipped: Buffer, end: number): Promise<KafkaLogBatch[]> {
  const taken: KafkaLogBatch[] = []
  let steps: ReadonlyMap<number, number> = new Map()
  let answer = flipped
  for (let askedFrom = 10, rounds = 0; askedFrom < 15; rounds++) {
    assert(rounds < 10)
    const messages = await fetchedBatches(answer, noCodec)
    const found = readAs(messages, { askedFrom, end, steps })
    const fetch = found.needsLaterEnd ? readAs(messages, { askedFrom, end, steps }, end) : found
    steps = fetch.steps
    answer = askedFrom < 12 ? BOTH : SECOND
    if (fetch.lastOffset < askedFrom) continue
    taken.push(fetch)
    askedFrom = fetch.lastOffset + 1
    if (askedFrom >= 12) answer = SECOND
  }
  return taken
}

describe('fetched batches', () => {
  test('are read up to the one that is cut', async () => {
    for (let cut = FIRST.length; cut < BOTH.length; cut++) {
      const batch = readAs(await fetchedBatches(BOTH.subarray(0, cut), noCodec))
      assert.deepEqual([valuesOf(batch), batch.damage], [['a', 'b'], undefined], `cut at ${cut}`)
    }
    const whole = readAs(await fetchedBatches(BOTH, noCodec))
    assert.deepEqual([valuesOf(whole), whole.lastOffset], [['a', 'b', 'c', 'd', 'e'], 14])
  })

  test('a flipped bit costs a fetch, and no record, whichever bit it is', async () => {
    const flips = fc.record({
      at: fc.nat(BOTH.length - 1),
      bit: fc.nat(7),
      end: fc.constantFrom(15, END), // Up to date, or far behind.
    })
    await fc.assert(
      fc.asyncProperty(flips, async ({ at, bit, end }) => {
        const flipped = Buffer.from(BOTH)
        flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at)
        const fetches = await readThrough(flipped, end)
        assert.deepEqual(fetches.flatMap(valuesOf), ['a', 'b', 'c', 'd', 'e'])
      }),
      { numRuns: 2_000 },
    )
  })

  test('offsets that belong before those of the batch in front are damage', async () => {
    const again = readAs(await fetchedBatches(Buffer.concat([FIRST, FIRST]), noCodec))
    assert.deepEqual(valuesOf(again), ['a', 'b'])
    assert.match(again.damage ?? '', /10 to 11 do not fit where 12 is due/)
    const below = readAs(await fetchedBatches(batchAt(8, ['a', 'b']), noCodec))
    assert.match(below.damage ?? '', /8 to 9 do not fit where 10 is due/)
  })

  test('a batch behind the end that its fetch reports is damage if the log says so too', async () => {
    const messages = await fetchedBatches(BOTH, noCodec)
    const late = readAs(messages, { askedFrom: 10, end: 12 })
    assert.deepEqual(
      [valuesOf(late), late.damage, late.needsLaterEnd],
      [['a', 'b'], undefined, true],
    )
    const honest = readAs(messages, { askedFrom: 10, end: 12 }, 15)
    assert.deepEqual([valuesOf(honest), honest.damage], [['a', 'b', 'c', 'd', 'e'], undefined])
    assert.deepEqual([honest.needsLaterEnd, honest.endOffset], [false, 15])
    const damaged = readAs(messages, { askedFrom: 10, end: 12 }, 14)
    assert.match(damaged.damage ?? '', /12 to 14 do not fit a log that ends at 14/)
    assert.deepEqual([valuesOf(damaged), damaged.needsLaterEnd], [['a', 'b'], false])
  })

  test('holes, and a start in the middle of a batch, are believed when they are seen again', async () => {
    const log = Buffer.concat([
      FIRST,
      emptied(batchAt(15, ['x'])),
      batchAt(20, ['f']),
      batchAt(21, ['g']),
    ])
    const messages = await fetchedBatches(log, noCodec)
    const first = readAs(messages, { askedFrom: 11 })
    assert.deepEqual([valuesOf(first), first.lastOffset, first.damage], [[], 10, undefined])
    const { steps } = first
    assert.deepEqual([...steps], [[11, 10], [12, 15], [16, 20]]) // prettier-ignore
    const second = readAs(messages, { askedFrom: 11, steps })
    assert.deepEqual([valuesOf(second), second.firstOffset], [['b', 'f', 'g'], 11])
    // What is new behind it has to be seen again as well.
    const more = await fetchedBatches(Buffer.concat([log, batchAt(30, ['h'])]), noCodec)
    assert.equal(readAs(more, { askedFrom: 11, steps }).lastOffset, 21)
    const moved = new Map([...steps, [16, 19]] as const)
    assert.equal(readAs(messages, { askedFrom: 11, steps: moved }).lastOffset, 15)
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
