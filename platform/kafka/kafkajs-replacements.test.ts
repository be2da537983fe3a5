/**
 * The replacements against kafkajs's own code: the same bytes out, the same records in. kafkajs is
 * pinned; a new version has to pass this before it is used.
 */
import assert from 'node:assert/strict'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { test } from 'node:test'
import fc from 'fast-check'
import { crc32c } from './crc32c.ts'
import type { BatchMessage } from './fetched-batches.ts'
import { KafkaLogBatch } from './kafkajs-batch.ts'
import {
  type ProduceRequestFactory,
  produceRequest,
  requireKafkajs,
  requireStock,
} from './kafkajs-replacements.ts'
import type { LogRecord, OutgoingRecord } from './log.ts'
import { PackedRecords } from './packed-records.ts'
import { BATCH_HEADER_BYTES, forEachRecord, readBatch } from './record-batch-reader.ts'

// `as` in this file: kafkajs publishes no types for its inner modules.
type Encoded = Readonly<{ buffer: Buffer }>
type Decoder = new (buffer: Buffer) => { buffer: Buffer; offset: number }
type BatchDecoder = (decoder: InstanceType<Decoder>) => Promise<{ records: unknown[] }>
type StockRecord = { offset: string; timestamp: string; headers: Record<string, Buffer> } & {
  key: Buffer | null
  value: Buffer | null
}

// Taken before the replacements are installed.
const stockRequest = requireStock('protocol/requests/produce/v3/request') as ProduceRequestFactory
const stockDecoder = requireStock('protocol/recordBatch/v0/decoder') as BatchDecoder
const Decoder = requireStock('protocol/decoder') as Decoder
const stockCrc = requireStock('protocol/recordBatch/crc32C') as (bytes: Buffer) => number
const ourRequest = produceRequest(stockRequest)

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
/** kafkajs itself takes a header named `constructor` for one that it has seen before. */
const headerName = fc
  .string({ unit: 'grapheme', minLength: 1 })
  .filter((name) => !(name in Object.prototype))
const outgoing: fc.Arbitrary<OutgoingRecord> = fc.record(
  {
    key: fc.option(bytes(200)),
    value: fc.option(bytes(2000)),
    headers: fc.dictionary(headerName, bytes(100), { maxKeys: 3, noNullPrototype: true }),
  },
  { requiredKeys: ['key', 'value'] },
)
type Timed = Readonly<{ record: OutgoingRecord; timestampMs: number }>
/** Ascending times of equal length: kafkajs finds the first and last by sorting them as text. */
const batches: fc.Arbitrary<Timed[]> = fc
  .tuple(
    fc.array(outgoing, { minLength: 1, maxLength: 40 }),
    fc.array(fc.integer({ min: 0, max: 5_000_000_000 }), { minLength: 40, maxLength: 40 }),
  )
  .map(([records, deltas]) => {
    const times = deltas.map((delta) => 1_700_000_000_000 + delta).sort((a, b) => a - b)
    return records.map((record, n) => ({ record, timestampMs: times[n] ?? 0 }))
  })

function packed(batch: readonly Timed[], partition = 3): PackedRecords {
  const records = new PackedRecords(partition)
  for (const { record, timestampMs } of batch) records.append(record, timestampMs)
  return records
}

async function encode(factory: ProduceRequestFactory, messages: unknown): Promise<Buffer> {
  const partitions = [{ partition: 3, firstSequence: 41, messages }]
  const request = factory({
    acks: -1,
    timeout: 15_000,
    producerId: '9007199254740993',
    producerEpoch: 2,
    topicData: [{ topic: 'telemetry.v1', partitions }],
  })
  return ((await request.encode()) as Encoded).buffer
}

const messagesOf = (batch: readonly Timed[]) =>
  batch.map(({ record, timestampMs }) => ({ ...record, timestamp: timestampMs }))

test('a packed batch is encoded to the very bytes of kafkajs', async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (batch) => {
      const stock = await encode(stockRequest, messagesOf(batch))
      const ours = await encode(ourRequest, packed(batch))
      assert.ok(ours.equals(stock), `${ours.toString('hex')}\n${stock.toString('hex')}`)
    }),
  )
})

test('versions 3 to 7 of the request all take packed batches', async () => {
  requireKafkajs()
  const batch = [{ record: { key: null, value: Buffer.from('v') }, timestampMs: 1_700_000_000_000 }]
  const expected = await encode(stockRequest, messagesOf(batch))
  for (const version of [3, 4, 5, 6, 7]) {
    const path = `protocol/requests/produce/v${version}/request`
    const factory = requireStock(path) as ProduceRequestFactory
    assert.ok((await encode(factory, packed(batch))).equals(expected), path)
    assert.ok((await encode(factory, messagesOf(batch))).equals(expected), `${path}, stock`)
    const request = factory({ acks: -1, timeout: 1, topicData: [] })
    assert.equal(request.apiVersion, version)
  }
})

test('a packed batch never travels with another', async () => {
  const one = packed([{ record: { key: null, value: null }, timestampMs: 1 }])
  const partitions = [{ messages: one }, { messages: one }]
  const topicData = [{ topic: 't', partitions }]
  assert.throws(() => ourRequest({ acks: -1, timeout: 1, topicData }), /alone/)
})

test('the checksum is kafkajs’s and the RFC’s', () => {
  assert.equal(crc32c(Buffer.alloc(32), 0, 32), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff), 0, 32), 0x62a8ab43)
  assert.equal(crc32c(Buffer.from('123456789'), 0, 9), 0xe3069283)
  fc.assert(
    fc.property(bytes(300), fc.nat(20), (data, start) => {
      const from = Math.min(start, data.length)
      return crc32c(data, from, data.length) === stockCrc(data.subarray(from))
    }),
  )
})

/** The record batch inside of a request for topic `telemetry.v1`. */
async function batchBytes(batch: readonly Timed[]): Promise<Buffer> {
  const request = await encode(ourRequest, packed(batch))
  return request.subarray(2 + 2 + 4 + 4 + 2 + 'telemetry.v1'.length + 4 + 4 + 4)
}

function copyOf({ offset, timestampMs, key, value, headers }: LogRecord): LogRecord {
  return { offset, timestampMs, key, value, headers: { ...headers } }
}

function recordsOf(batch: Buffer): LogRecord[] {
  const records: LogRecord[] = []
  forEachRecord(readBatch(batch), 0, (record) => records.push(copyOf(record)))
  return records
}

test('a batch is read as kafkajs reads it', async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (batch) => {
      const encoded = await batchBytes(batch)
      const { records } = await stockDecoder(new Decoder(encoded))
      const expected = (records as StockRecord[]).map((record) => ({
        offset: Number(record.offset),
        timestampMs: Number(record.timestamp),
        key: record.key,
        value: record.value,
        headers: { ...record.headers },
      }))
      assert.deepEqual(recordsOf(encoded), expected)
    }),
  )
})

/** Rewrites header fields and sets the checksum right again. */
function altered(batch: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(batch)
  change(copy)
  copy.writeUInt32BE(crc32c(copy, 21, copy.length), 17)
  return copy
}

const THREE: Timed[] = [0, 1, 2].map((n) => ({
  record: { key: Buffer.from(`k${n}`), value: Buffer.from(`v${n}`) },
  timestampMs: 1_700_000_000_000 + n,
}))

test('base offset and log append time come from the batch', async () => {
  const stored = altered(await batchBytes(THREE), (copy) => {
    copy.writeBigInt64BE(123_456_789_012n, 0)
    copy.writeInt16BE(0x08, 21)
    copy.writeBigInt64BE(1_800_000_000_000n, 35)
  })
  const records = recordsOf(stored)
  assert.deepEqual(
    records.map(({ offset, timestampMs }) => [offset, timestampMs]),
    [0, 1, 2].map((n) => [123_456_789_012 + n, 1_800_000_000_000]),
  )
})

test('any changed byte behind the checksum is noticed', async () => {
  const good = await batchBytes(THREE)
  for (let at = 17; at < good.length; at++) {
    const bad = Buffer.from(good)
    bad.writeUInt8((bad.readUInt8(at) ^ 0x10) & 0xff, at)
    assert.throws(() => readBatch(bad), /checksum/, `byte ${at}`)
  }
})

test('a record that points behind its batch is refused', async () => {
  const bad = altered(await batchBytes(THREE), (copy) => copy.writeUInt8(0xfe, BATCH_HEADER_BYTES))
  assert.throws(() => recordsOf(bad), /longer than its batch/)
  const more = altered(await batchBytes(THREE), (copy) => copy.writeInt32BE(9, 57))
  assert.throws(() => recordsOf(more), /longer than its batch/)
})

async function decodeInstalled(fetched: Buffer): Promise<BatchMessage[]> {
  requireKafkajs()
  const decodeMessages = requireStock('protocol/requests/fetch/v4/decodeMessages') as (
    decoder: InstanceType<Decoder>,
  ) => Promise<BatchMessage[]>
  const size = Buffer.alloc(4)
  size.writeInt32BE(fetched.length)
  return decodeMessages(new Decoder(Buffer.concat([size, fetched])))
}

test('kafkajs hands on one message per batch, and drops a batch that is cut', async () => {
  const first = await batchBytes(THREE)
  const second = altered(first, (copy) => copy.writeBigInt64BE(3n, 0))
  const messages = await decodeInstalled(Buffer.concat([first, second, first.subarray(0, 70)]))
  assert.deepEqual(
    messages.map(({ offset }) => offset),
    ['2', '5'],
  )
  // `as`: what KafkaLogBatch reads of a kafkajs Batch.
  const answer = { fetchedOffset: '1', abortedTransactions: [], messages }
  const fetched = { topic: 't', partition: 0, highWatermark: '9', ...answer }
  const steps = new Map([[1, 0]]) // Seen before: reading begins in the middle of the batch.
  const batch = new KafkaLogBatch(fetched as unknown as never, { position: 1, steps })
  const offsets: number[] = []
  batch.forEach(({ offset }) => offsets.push(offset))
  assert.deepEqual(offsets, [1, 2, 3, 4, 5])
  assert.deepEqual([batch.firstOffset, batch.lastOffset, batch.endOffset], [1, 5, 9])
  assert.equal(batch.jumpsTo, undefined)
})

test('a compressed batch is read', async () => {
  const plain = await batchBytes(THREE)
  const body = await promisify(gzip)(plain.subarray(BATCH_HEADER_BYTES))
  const compressed = Buffer.concat([plain.subarray(0, BATCH_HEADER_BYTES), body])
  compressed.writeInt32BE(compressed.length - 12, 8)
  const stored = altered(compressed, (copy) => copy.writeInt16BE(1, 21))
  const [message] = await decodeInstalled(stored)
  assert.ok(message && !('damage' in message.content))
  const values: (string | undefined)[] = []
  forEachRecord(message.content, 0, ({ value }) => values.push(value?.toString()))
  assert.deepEqual(values, ['v0', 'v1', 'v2'])
})

test('kafkajs leaves out nothing of a fetch, and moves past nothing on its own', async () => {
  requireKafkajs()
  const Batch = requireStock('consumer/batch') as new (
    topic: string,
    fetchedOffset: string,
    fetch: object,
  ) => { messages: BatchMessage[]; abortedTransactions: unknown; isEmptyDueToFiltering(): boolean }
  const marker = { key: Buffer.from([0, 0, 0, 0]), value: Buffer.alloc(6) }
  const one = await batchBytes([{ record: marker, timestampMs: 1_700_000_000_000 }])
  const control = altered(one, (copy) => copy.writeInt16BE(0x30, 21))
  const aborted = altered(await batchBytes(THREE), (copy) => copy.writeInt16BE(0x10, 21))
  const messages = await decodeInstalled(Buffer.concat([control, aborted]))
  const transactions = [{ producerId: '9007199254740993', firstOffset: '0' }]
  const fetch = { partition: 0, highWatermark: '99', abortedTransactions: transactions, messages }
  const batch = new Batch('t', '50', fetch) // All of it lies below what was asked for.
  assert.deepEqual(batch.messages, messages)
  assert.deepEqual(batch.abortedTransactions, transactions)
  assert.equal(batch.isEmptyDueToFiltering(), false)
})

test('an idle connection sets no timer', () => {
  requireKafkajs()
  const Queue = requireStock('network/requestQueue') as new (options: object) => {
    throttleCheckTimeoutId: unknown
    pending: unknown[]
    scheduleCheckPendingRequests(): void
    destroy(): void
  }
  const queue = new Queue({ logger: { debug: () => undefined } })
  queue.scheduleCheckPendingRequests()
  assert.equal(queue.throttleCheckTimeoutId, null)
  queue.pending.push({})
  queue.scheduleCheckPendingRequests()
  assert.notEqual(queue.throttleCheckTimeoutId, null)
  queue.destroy()
})
