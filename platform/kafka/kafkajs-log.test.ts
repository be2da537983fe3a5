/** What only Kafka can show: retention, lost tails, transactions, brokers that are not there. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Producer } from 'kafkajs'
import { eventually } from '../../test/eventually.ts'
import { systemClock } from '../clock.ts'
import { Failure } from '../failure.ts'
import { CONNECT_RETRIES, createKafkaClient } from './kafkajs-client.ts'
import { createKafkaLog } from './kafkajs-log.ts'
import { openKafka } from './testing/kafka-fixture.ts'
import { Recorder } from './testing/log-contract-bench.ts'

const DRAIN_MS = 5_000
const WRITER = { name: 'writer', queuedBytesMax: 1_000_000, lingerMs: 1 }
const GAP = 'offsets are missing from the log'

const kafka = await openKafka()
const { brokers, log, admin, metrics, logger, kept } = kafka
const topic = await kafka.topic('kafka', 1)
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
  assert.deepEqual(kept.take(), [GAP])
  assert.match((await metrics.expose()).body, /weir_offset_gap_total\{.*\} 1/)
  await two.drain(DRAIN_MS)
})

test('retention that overtakes a running consumer leaves its checkpoint alone', async () => {
  const group = `${topic}-overtaken`
  const name = await kafka.topic('short', 1)
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
  assert.deepEqual(kept.take(), [GAP])
  assert.deepEqual((await admin.committed(group, name)).get(0), checkpoint)
  await Promise.all([consumer.drain(DRAIN_MS), writer.drain(DRAIN_MS)])
})

/** Runs with a client of kafkajs, for what nothing of ours does. */
async function deleteTopic(name: string): Promise<void> {
  const client = createKafkaClient({ brokers, clientId: 'operator', logger }, CONNECT_RETRIES.few)
  const operator = client.admin()
  await operator.connect()
  await operator.deleteTopics({ topics: [name] })
  await operator.disconnect()
}

test(
  'a log that ends before what was read of it is a loud gap, and read on from there',
  { timeout: 60_000 },
  async () => {
    const READ = 5_000
    const [name, other] = [await kafka.topic('tail', 1), await kafka.topic('other', 1)]
    const writer = log.writer(WRITER)
    await writer.start()
    const write = (to: string, value: string) =>
      writer.append(to, 0, { key: null, value: Buffer.from(value) })
    await Promise.all(Array.from({ length: READ }, (_, n) => write(name, `${n}`)))
    const handler = new Recorder()
    const values = () => handler.seen.map(({ value }) => value)
    handler.positionOf = ({ epoch }) => (epoch === 1 ? 0 : READ) // What it has in memory.
    const topics = [name, other]
    const consumer = log.consumer({ name: 'tail', group: undefined, topics, handler })
    await consumer.start()
    await handler.count(READ)
    consumer.pause(name, 0)
    // Twice: then no fetch is under way that still asks for the paused one.
    for (let n = 0; n < 2; n++) {
      await write(other, 'other')
      await handler.count(READ + 1 + n)
    }
    await deleteTopic(name)
    await eventually('the topic anew', () => kafka.topic('tail', 1).catch(() => undefined))
    consumer.resume(name, 0)
    // The reader has to see that its place is gone before the log is as long as it was.
    for (let n = 0; kept.errors.length === 0; n++) await write(name, `more ${n}`)
    await handler.until(() => handler.assignments.filter((one) => one.topic === name).length === 2)
    assert.deepEqual(kept.take(), [GAP])
    await write(name, 'last')
    await handler.until(() => values().includes('last'))
    await Promise.all([consumer.drain(DRAIN_MS), writer.drain(DRAIN_MS)])
  },
)

test(
  'what transactions took back is not read, however they overlap',
  { timeout: 60_000 },
  async () => {
    const name = await kafka.topic('transactions', 1)
    const client = createKafkaClient(
      { brokers, clientId: 'producers', logger },
      CONNECT_RETRIES.few,
    )
    const producers = ['one', 'two'].map((id) =>
      client.producer({
        transactionalId: `${name}-${id}`,
        idempotent: true,
        maxInFlightRequests: 1,
      }),
    )
    const [one, two] = producers as [Producer, Producer]
    await Promise.all(producers.map((producer) => producer.connect()))
    const send = (value: string) => ({ topic: name, messages: [{ partition: 0, value }] })
    const outer = await one.transaction()
    await outer.send(send('taken back'))
    const inner = await two.transaction()
    await inner.send(send('taken back as well'))
    await inner.abort() // Began later, ended earlier.
    await outer.send(send('taken back'))
    await outer.abort()
    const kept = await two.transaction()
    await kept.send(send('kept'))
    await kept.commit()
    const handler = new Recorder()
    const consumer = log.consumer({ name: 'committed', group: undefined, topics: [name], handler })
    await consumer.start()
    await handler.count(1)
    await handler.until(() => handler.batches.at(-1)?.lastOffset === 6) // The marker of the commit.
    assert.deepEqual(
      handler.seen.map(({ offset, value }) => [offset, value]),
      [[5, 'kept']],
    )
    await consumer.drain(DRAIN_MS)
    await Promise.all(producers.map((producer) => producer.disconnect()))
  },
)

test('how far a reader lags is seen while its partition rests', async () => {
  const name = await kafka.topic('lag', 1)
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

test('how far a reader lags is seen while a batch of it waits through a rebalance', async () => {
  const name = `${topic}-waiting`
  await admin.ensureTopics([{ name, partitions: 2, replicationFactor: 1, config: {} }])
  const writer = log.writer(WRITER)
  await writer.start()
  const write = (partition: number) =>
    writer.append(name, partition, { key: null, value: Buffer.from('v') })
  const handler = new Recorder()
  let goOn = (): void => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  handler.hold = () => held
  const open = (as: string, to: Recorder) =>
    log.consumer({ name: as, group: name, topics: [name], handler: to })
  const consumer = open('waiting', handler)
  await consumer.start()
  await handler.until(() => handler.assignments.length === 2)
  await Promise.all([write(0), write(1)])
  await handler.count(2)
  const joining = new Recorder()
  const other = open('joining', joining)
  await other.start()
  await joining.until(() => joining.assignments.length === 1)
  const stays = handler.revocations.includes(`${name}/0`) ? 1 : 0
  for (let n = 0; n < 3; n++) await write(stays)
  const labels = `consumer="waiting",topic="${name}",partition="${stays}"`
  const line = new RegExp(`^weir_kafka_lag_records\\{${labels}.*\\} (.+)$`, 'm')
  const lag = async () => Number(line.exec((await metrics.expose()).body)?.[1])
  // The one in hand, and three behind it.
  await eventually('a lag of four', async () => ((await lag()) === 4 ? true : undefined))
  goOn()
  await handler.count(5)
  await Promise.all([consumer, other, writer].map((each) => each.drain(DRAIN_MS)))
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
