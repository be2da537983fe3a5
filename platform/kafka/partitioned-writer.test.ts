import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../clock.ts'
import { Failure } from '../failure.ts'
import type { PackedRecords } from './packed-records.ts'
import {
  BATCH_BYTES_MAX,
  ENOUGH_RECORDS,
  PartitionedWriter,
  type SendOutcome,
} from './partitioned-writer.ts'
import { forEachRecord } from './record-batch-reader.ts'
import { rawBatchOf } from './split-records.ts'

const SETTINGS = { clock: systemClock, queuedBytesMax: 8 * 1024 * 1024, lingerMs: 0 }
const STORED: SendOutcome = { kind: 'stored' }
const REFUSED: SendOutcome = {
  kind: 'refused',
  failure: new Failure('payload_too_large', 'refused by the test'),
}
const record = (value: string) => ({ key: Buffer.from('k'), value: Buffer.from(value) })

function valuesOf(records: PackedRecords): string[] {
  const values: string[] = []
  forEachRecord(rawBatchOf(records), 0, ({ value }) => values.push(String(value)))
  return values
}

/** A sender whose answers the test gives, one batch at a time. */
function heldSender() {
  const sent: { lane: string; values: string[]; answer: (outcome: SendOutcome) => void }[] = []
  const arrivals: (() => void)[] = []
  const send = (topic: string, records: PackedRecords) =>
    new Promise<SendOutcome>((answer) => {
      sent.push({ lane: `${topic}/${records.partition}`, values: valuesOf(records), answer })
      for (const arrived of arrivals.splice(0)) arrived()
    })
  const arrival = async (count: number) => {
    while (sent.length < count) await new Promise<void>((resolve) => arrivals.push(resolve))
  }
  return { sent, send, arrival }
}

test('one batch per partition is under way; what gathers meanwhile is the next', async () => {
  const { sent, send, arrival } = heldSender()
  const writer = new PartitionedWriter({ ...SETTINGS, send })
  const first = writer.append('t', 0, record('a'))
  await arrival(1)
  const second = writer.append('t', 0, record('b'))
  const third = writer.append('t', 0, record('c'))
  const other = writer.append('t', 1, record('x'))
  await arrival(2)
  assert.deepEqual(
    sent.map(({ lane }) => lane),
    ['t/0', 't/1'],
  )
  assert.equal(second, third, 'records of one request share one promise')
  sent[0]?.answer(STORED)
  sent[1]?.answer(STORED)
  await Promise.all([first, other])
  await arrival(3)
  assert.deepEqual(sent[2]?.values, ['b', 'c'])
  sent[2]?.answer(STORED)
  await second
  assert.equal(writer.queuedBytes, 0)
})

test('what one turn of the event loop brings shares a request', async () => {
  const { sent, send, arrival } = heldSender()
  const writer = new PartitionedWriter({ ...SETTINGS, send })
  for (const value of ['a', 'b', 'c']) void writer.append('t', 0, record(value))
  await arrival(1)
  assert.deepEqual(sent[0]?.values, ['a', 'b', 'c'])
  sent[0]?.answer(STORED)
  await writer.idle()
})

test('batches stay below their limit, and a larger record travels alone', async () => {
  const sizes: number[] = []
  const send = async (_topic: string, records: PackedRecords) => {
    sizes.push(records.length)
    assert.ok(records.length === 1 || records.byteLength < BATCH_BYTES_MAX * 1.1)
    return STORED
  }
  const writer = new PartitionedWriter({ ...SETTINGS, send })
  const value = 'v'.repeat(BATCH_BYTES_MAX / 4)
  const small = Array.from({ length: 8 }, () => writer.append('t', 0, record(value)))
  const large = writer.append('t', 0, record('v'.repeat(BATCH_BYTES_MAX + 1)))
  await Promise.all([...small, large])
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    9,
  )
  assert.equal(sizes.at(-1), 1)
})

test('of a refused batch only the records that are to blame are refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), async (isBad) => {
      const stored: string[] = []
      const send = async (_topic: string, records: PackedRecords) => {
        const values = valuesOf(records)
        if (values.some((value) => value.startsWith('bad'))) return REFUSED
        stored.push(...values)
        return STORED
      }
      const writer = new PartitionedWriter({ ...SETTINGS, send })
      const answers = await Promise.allSettled(
        isBad.map((bad, n) =>
          // Without a key: such a record has a promise of its own.
          bad
            ? writer.append('t', 0, { key: null, value: Buffer.from(`bad ${n}`) })
            : writer.append('t', 0, record(`good ${n}`)),
        ),
      )
      assert.deepEqual(
        answers.map(({ status }) => status),
        isBad.map((bad) => (bad ? 'rejected' : 'fulfilled')),
      )
      const good = isBad.flatMap((bad, n) => (bad ? [] : [`good ${n}`]))
      assert.deepEqual(stored, good, 'in order, once each')
      assert.equal(writer.queuedBytes, 0)
    }),
    { numRuns: 50 },
  )
})

test('a stopped sender rejects what waits, and nothing waits for ever', async () => {
  const { sent, send, arrival } = heldSender()
  const writer = new PartitionedWriter({ ...SETTINGS, send })
  const first = writer.append('t', 0, record('a'))
  await arrival(1)
  const second = writer.append('t', 0, { key: null, value: null })
  writer.close()
  sent[0]?.answer({ kind: 'stopped' })
  await arrival(2)
  sent[1]?.answer({ kind: 'stopped' })
  const isShutDown = (error: unknown) => error instanceof Failure && error.code === 'shutting_down'
  await assert.rejects(first, isShutDown)
  await assert.rejects(second, isShutDown)
  await writer.idle()
  await assert.rejects(writer.append('t', 0, record('late')), isShutDown)
})

test('a busy partition with small batches sends at most one per linger', async () => {
  let nowMs = 0
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs }
  const batches: string[][] = []
  const send = async (_topic: string, records: PackedRecords) => {
    batches.push(valuesOf(records))
    return STORED
  }
  const lingerMs = 200
  const writer = new PartitionedWriter({ ...SETTINGS, clock, lingerMs, send })
  await writer.append('t', 0, record('alone'))
  const gathered = [writer.append('t', 0, record('a'))]
  await new Promise((resolve) => setImmediate(resolve))
  gathered.push(writer.append('t', 0, record('b')))
  nowMs = lingerMs
  await Promise.all(gathered)
  assert.deepEqual(batches, [['alone'], ['a', 'b']])
})

const AN_HOUR_MS = 3_600_000
const STILL = { nowMs: () => 0, monotonicMs: () => 0 }
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('a batch with enough records, or a full one, does not wait for the linger', async () => {
  const counts: number[] = []
  const send = async (_topic: string, records: PackedRecords) => {
    counts.push(records.length)
    return STORED
  }
  const settings = { ...SETTINGS, clock: STILL, lingerMs: AN_HOUR_MS, send }
  const many = new PartitionedWriter(settings)
  await many.append('t', 0, record('alone'))
  const gathered: Promise<void>[] = []
  for (let n = 0; n < ENOUGH_RECORDS; n++) gathered.push(many.append('t', 0, record('x')))
  await Promise.all(gathered)
  assert.deepEqual(counts, [1, ENOUGH_RECORDS])

  const large = new PartitionedWriter(settings)
  await large.append('t', 0, record('alone'))
  const half = { key: Buffer.from('k'), value: Buffer.alloc(BATCH_BYTES_MAX / 2) }
  const first = large.append('t', 0, half)
  void large.append('t', 0, half)
  await first
  assert.deepEqual(counts.slice(2), [1, 1], 'the second half waits for company')
  large.close()
  await large.idle()
  assert.deepEqual(counts.slice(2), [1, 1, 1])
})

test('where the wait gathers nothing, the next batches go without one', async () => {
  let sent = 0
  const send = async () => {
    sent++
    return STORED
  }
  const writer = new PartitionedWriter({ ...SETTINGS, clock: STILL, lingerMs: 5, send })
  // One device that sends its next message when the last is acknowledged.
  await writer.append('t', 0, record('first'))
  await writer.append('t', 0, record('waited in vain'))
  for (let n = 0; n < 10; n++) {
    void writer.append('t', 0, record(`at once ${n}`))
    await turn()
    await turn()
    assert.equal(sent, 3 + n)
  }
})
