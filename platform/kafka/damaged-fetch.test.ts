/** Bytes that change on the way from a real broker: fetched again, and loud when that is no help. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { testStack } from '../../test/stack.ts'
import { systemClock } from '../clock.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { createKafkaLog } from './kafkajs-log.ts'
import type { Log, LogAdmin } from './log.ts'
import { type FlippingProxy, startFlippingProxy } from './testing/flipping-proxy.ts'
import { Recorder } from './testing/log-contract-bench.ts'

const DRAIN_MS = 5_000
const waiting: { count: number; resolve: () => void }[] = []
let damaged = 0
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (message) => {
    if (message !== 'bytes arrived that Kafka did not store') return
    damaged++
    for (const { count, resolve } of waiting) if (damaged >= count) resolve()
  },
  with: () => logger,
}
const timesDamaged = (count: number) =>
  new Promise<void>((resolve) => {
    if (damaged >= count) resolve()
    waiting.push({ count, resolve })
  })

let proxy: FlippingProxy
let namespace = ''
let log: Log
let admin: LogAdmin
const metrics = new Metrics({ role: 'test', processMetrics: false })

before(async () => {
  const stack = await testStack()
  namespace = stack.namespace
  proxy = await startFlippingProxy(stack.kafka.brokers[0] ?? '')
  const brokers = [proxy.broker]
  log = createKafkaLog({ brokers, clientId: 'test', logger, metrics, clock: systemClock })
  admin = log.admin()
})
after(async () => {
  await admin.close()
  await proxy.close()
})

/** A topic of two partitions with marked values, each record in a batch of its own. */
async function filled(name: string): Promise<string> {
  const topic = `${namespace}${name}`
  await admin.ensureTopics([{ name: topic, partitions: 2, replicationFactor: 1, config: {} }])
  const writer = log.writer({ name: 'writer', queuedBytesMax: 1_000_000, lingerMs: 0 })
  await writer.start()
  for (let n = 0; n < 6; n++) {
    for (const partition of [0, 1]) {
      const value = Buffer.from(`${name} ${partition}:${n} ${'.'.repeat(200)}`)
      await writer.append(topic, partition, { key: null, value })
    }
  }
  await writer.drain(DRAIN_MS)
  return topic
}

const offsetsOf = ({ seen }: Recorder, partition: number): number[] =>
  seen.filter((record) => record.partition === partition).map(({ offset }) => offset)

test('a bit that flips once on the way costs one more fetch, and no record', async () => {
  const topic = await filled('once')
  const handler = new Recorder()
  damaged = 0
  const flippedBefore = proxy.flipped()
  proxy.flip('once 1:3 ', 1)
  const consumer = log.consumer({ name: 'once', group: undefined, topics: [topic], handler })
  await consumer.start()
  await handler.count(12)
  await consumer.drain(DRAIN_MS)
  assert.deepEqual([offsetsOf(handler, 0), offsetsOf(handler, 1)], [0, 1].map(() => [0, 1, 2, 3, 4, 5])) // prettier-ignore
  assert(handler.seen.every(({ value, partition, offset }) => value?.startsWith(`once ${partition}:${offset} ...`))) // prettier-ignore
  assert.deepEqual([proxy.flipped() - flippedBefore, damaged], [1, 1])
  assert.match((await metrics.expose()).body, /weir_kafka_damaged_fetches_total\{.*\} 1/)
})

test('bytes that stay bad stop their partition, loudly; the other one goes on', async () => {
  const topic = await filled('always')
  const handler = new Recorder()
  damaged = 0
  proxy.flip('always 1:3 ', Infinity)
  const consumer = log.consumer({ name: 'always', group: undefined, topics: [topic], handler })
  await consumer.start()
  await handler.until(() => offsetsOf(handler, 0).length === 6)
  await timesDamaged(7) // Once behind good batches, then five times at once, then it is no accident.
  assert.deepEqual(offsetsOf(handler, 1), [0, 1, 2])
  assert.match(consumer.notReady?.() ?? '', /always\/1@3/)
  const writer = log.writer({ name: 'writer', queuedBytesMax: 1_000_000, lingerMs: 0 })
  await writer.start()
  await writer.append(topic, 0, { key: null, value: Buffer.from('later') })
  await handler.until(() => offsetsOf(handler, 0).length === 7)
  assert.deepEqual(offsetsOf(handler, 1), [0, 1, 2])
  await Promise.all([writer.drain(DRAIN_MS), consumer.drain(DRAIN_MS)])
})
