/** What only Kafka can show: retention, unknown partitions, brokers that are not there. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../../test/eventually.ts'
import { testStack } from '../../test/stack.ts'
import { systemClock } from '../clock.ts'
import { Failure } from '../failure.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { CONNECT_RETRIES, createKafkaClient } from './kafkajs-client.ts'
import { createKafkaLog } from './kafkajs-log.ts'
import { Recorder } from './testing/log-contract-bench.ts'
import type { Log, LogAdmin } from './log.ts'

const errors: string[] = []
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (message) => void errors.push(message),
  with: () => logger,
}
const metrics = new Metrics({ role: 'test', processMetrics: false })
const DRAIN_MS = 5_000
const WRITER = { name: 'writer', queuedBytesMax: 1_000_000, lingerMs: 1 }

let brokers: readonly string[] = []
let topic = ''
let log: Log
let admin: LogAdmin

before(async () => {
  const stack = await testStack()
  brokers = stack.kafka.brokers
  topic = `${stack.namespace}kafka`
  log = createKafkaLog({ brokers, clientId: 'test', logger, metrics, clock: systemClock })
  admin = log.admin()
  await admin.ensureTopics([{ name: topic, partitions: 1, replicationFactor: 1, config: {} }])
})
after(() => admin.close())

/** Deletes all records below the offset, as retention does. */
async function retentionTakes(topic: string, below: number): Promise<void> {
  const kafka = createKafkaClient({ brokers, clientId: 'retention', logger }, CONNECT_RETRIES.few)
  const retention = kafka.admin()
  await retention.connect()
  await retention.fetchTopicOffsets(topic) // kafkajs deletes only where it knows the leader.
  await retention.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: `${below}` }] })
  await retention.disconnect()
}

test('offsets that retention took are a counted, loud gap', async () => {
  const writer = log.writer(WRITER)
  await writer.start()
  const value = Buffer.from('v')
  await Promise.all([0, 1, 2, 3].map(() => writer.append(topic, 0, { key: null, value })))
  await writer.drain(DRAIN_MS)

  const group = `${topic}-group`
  const first = new Recorder()
  const one = log.consumer({ name: 'one', group, topics: [topic], handler: first })
  await one.start()
  await first.count(4)
  assert.ok(await one.commit(first.latest(0), { offset: 1, metadata: 'held back' }))
  await one.drain(DRAIN_MS)

  await retentionTakes(topic, 3)

  const second = new Recorder()
  const two = log.consumer({ name: 'two', group, topics: [topic], handler: second })
  await two.start()
  await second.count(1)
  assert.deepEqual(second.latest(0).committed, { offset: 1, metadata: 'held back' })
  assert.deepEqual(
    second.seen.map(({ offset }) => offset),
    [3],
  )
  assert.deepEqual(errors, ['offsets are missing from the log'])
  assert.match((await metrics.expose()).body, /weir_offset_gap_total\{.*\} 1/)
  await two.drain(DRAIN_MS)
})

test('retention that overtakes a running consumer leaves its checkpoint alone', async () => {
  errors.length = 0
  const group = `${topic}-overtaken`
  const name = `${topic}-short`
  await admin.ensureTopics([{ name, partitions: 1, replicationFactor: 1, config: {} }])
  const writer = log.writer(WRITER)
  await writer.start()
  const write = () => writer.append(name, 0, { key: null, value: Buffer.from('v') })
  await write()
  const handler = new Recorder()
  const consumer = log.consumer({ name: 'overtaken', group, topics: [name], handler })
  await consumer.start()
  await handler.count(1)
  const checkpoint = { offset: 0, metadata: 'held back' }
  assert.ok(await consumer.commit(handler.latest(0), checkpoint))
  consumer.pause(name, 0)
  // Three requests, hence three batches: retention hides no part of a batch.
  for (let n = 0; n < 3; n++) await write()
  await retentionTakes(name, 3)
  consumer.resume(name, 0)
  await handler.count(2)
  assert.deepEqual(
    handler.seen.map(({ offset }) => offset),
    [0, 3],
  )
  assert.deepEqual(errors, ['offsets are missing from the log'])
  assert.deepEqual((await admin.committed(group, name)).get(0), checkpoint)
  await Promise.all([consumer.drain(DRAIN_MS), writer.drain(DRAIN_MS)])
})

test('how far a reader lags is seen while its partition rests', async () => {
  const name = `${topic}-lag`
  await admin.ensureTopics([{ name, partitions: 1, replicationFactor: 1, config: {} }])
  const writer = log.writer(WRITER)
  await writer.start()
  const write = () => writer.append(name, 0, { key: null, value: Buffer.from('v') })
  await write()
  const handler = new Recorder()
  const consumer = log.consumer({ name: 'lagging', group: name, topics: [name], handler })
  await consumer.start()
  await handler.count(1)
  consumer.pause(name, 0)
  for (let n = 0; n < 3; n++) await write()
  const lag = async (unit: string): Promise<number> => {
    const line = new RegExp(`^weir_kafka_lag_${unit}\\{consumer="lagging".*\\} (.+)$`, 'm')
    return Number(line.exec((await metrics.expose()).body)?.[1] ?? 0)
  }
  await eventually('a lag of three', async () => ((await lag('records')) === 3 ? true : undefined))
  assert.ok((await lag('seconds')) > 0)
  await Promise.all([consumer.drain(DRAIN_MS), writer.drain(DRAIN_MS)])
  assert.equal(await lag('records'), 0)
})

test('a partition that Kafka does not know is never called stored', async () => {
  const writer = log.writer(WRITER)
  await writer.start()
  const lost = writer.append(topic, 99, { key: null, value: Buffer.from('v') })
  await writer.drain(300)
  await assert.rejects(lost, (error) => error instanceof Failure && error.code === 'shutting_down')
})

test('without Kafka a start is refused with the option’s name', async () => {
  const nowhere = createKafkaLog({
    brokers: ['127.0.0.1:1'],
    clientId: 'test',
    logger,
    metrics,
    clock: systemClock,
  })
  const isUnavailable = (error: unknown) =>
    error instanceof Failure &&
    error.code === 'unavailable' &&
    /--kafka-brokers/.test(error.message)
  const writer = nowhere.writer(WRITER)
  const handler = new Recorder()
  const consumer = nowhere.consumer({ name: 'none', group: 'none', topics: [topic], handler })
  await Promise.all([
    assert.rejects(writer.start(), isUnavailable),
    assert.rejects(consumer.start(), isUnavailable),
  ])
  await Promise.all([writer.drain(100), consumer.drain(100)])
})

test('a consumer of a topic that does not exist is refused', async () => {
  const handler = new Recorder()
  const topics = [`${topic}-absent`]
  const consumer = log.consumer({ name: 'none', group: undefined, topics, handler })
  await assert.rejects(
    consumer.start(),
    (error) => error instanceof Failure && error.code === 'not_found',
  )
  await consumer.drain(DRAIN_MS)
})
