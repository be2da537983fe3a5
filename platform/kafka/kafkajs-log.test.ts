/** What only Kafka can show: retention, unknown partitions, brokers that are not there. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { testStack } from '../../test/stack.ts'
import { systemClock } from '../clock.ts'
import { Failure } from '../failure.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { CONNECT_RETRIES, createKafkaClient } from './kafkajs-client.ts'
import { createKafkaLog } from './kafkajs-log.ts'
import { Recorder } from './log-contract-bench.ts'
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

  const kafka = createKafkaClient({ brokers, clientId: 'retention', logger }, CONNECT_RETRIES.few)
  const retention = kafka.admin()
  await retention.connect()
  await retention.fetchTopicOffsets(topic) // kafkajs deletes only where it knows the leader.
  await retention.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
  await retention.disconnect()

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
    error instanceof Failure && error.code === 'unavailable' && /kafkaBrokers/.test(error.message)
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
