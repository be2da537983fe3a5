/** `weir migrate` on topics that an older release created, on a real server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { bringTopicUpToDate } from '../migrations/topic-settings.ts'
import { systemClock } from '../platform/clock.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import type { LogAdmin } from '../platform/kafka/log.ts'
import { setTopicConfig, topicConfig } from '../platform/kafka/kafkajs-topic-configs.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Metrics } from '../platform/observe/metrics.ts'
import { DEAD_LETTERS } from '../schemas/topics.ts'
import { testStack, type TestStack } from '../test/stack.ts'

const DAY_MS = 86_400_000
const logger = createLogger({ level: 'error', format: 'json', clock: systemClock, write: () => {} })
let stack: TestStack
let admin: LogAdmin
before(async () => {
  stack = await testStack()
  const metrics = new Metrics({ role: 'test', processMetrics: false })
  const { brokers } = stack.kafka
  const log = createKafkaLog({ brokers, clientId: 'test', logger, metrics, clock: systemClock })
  admin = log.admin()
})
after(() => admin.close())

const kafka = () => ({ brokers: stack.kafka.brokers, clientId: 'test', logger })

/** The letters' topic as it was before its times were the broker's, and then some. */
async function olderTopic(name: string, config: Readonly<Record<string, string>>) {
  const topic = `${stack.namespace}${name}`
  await admin.ensureTopics([{ name: topic, partitions: 1, replicationFactor: 1, config }])
  return topic
}

test('a topic made with CreateTime before its definition said LogAppendTime keeps it no longer', async () => {
  const topic = await olderTopic('older', {
    'message.timestamp.type': 'CreateTime',
    'retention.ms': String(DAY_MS),
    'cleanup.policy': 'compact',
  })
  const changes = await bringTopicUpToDate(kafka(), topic, DEAD_LETTERS.config)
  const { config } = DEAD_LETTERS
  assert.deepEqual(changes, [
    { topic, name: 'message.timestamp.type', value: 'LogAppendTime', before: 'CreateTime' },
    { topic, name: 'retention.ms', value: config['retention.ms'], before: String(DAY_MS) },
    { topic, name: 'max.message.bytes', value: config['max.message.bytes'], before: '1048588' },
  ])
  const now = await topicConfig(kafka(), topic)
  assert.equal(now.get('message.timestamp.type'), 'LogAppendTime')
  assert.equal(now.get('cleanup.policy'), 'compact', 'what is not ours stays')
  assert.deepEqual(await bringTopicUpToDate(kafka(), topic, config), [])
})

test('what somebody keeps for longer, or lets be larger, is not cut', async () => {
  const topic = await olderTopic('generous', { ...DEAD_LETTERS.config })
  await setTopicConfig(kafka(), topic, { 'retention.ms': '-1', 'max.message.bytes': '9000000' })
  assert.deepEqual(await bringTopicUpToDate(kafka(), topic, DEAD_LETTERS.config), [])
  const now = await topicConfig(kafka(), topic)
  assert.deepEqual([now.get('retention.ms'), now.get('max.message.bytes')], ['-1', '9000000'])
})
