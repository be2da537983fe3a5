/**
 * What an operator or time does to the group's offsets and to the log, on a real broker: exact
 * where everything is still in the log, and loud (weir_offset_gap_total) where something is not.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, afterEach, test } from 'node:test'
import type { Admin } from 'kafkajs'
import { testStack } from '../test/stack.ts'
import { CONNECT_RETRIES, createKafkaClient } from '../platform/kafka/kafkajs-client.ts'
import { Recorder } from '../platform/kafka/testing/log-contract-bench.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { LoggedRecord } from './testing/brute-force.ts'
import { sendMess } from './testing/messy-load.ts'
import { type Deployment, deploy } from './testing/stack-deployment.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '100' }
const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => quiet,
}

let operator: Admin
let deployment: Deployment

before(async () => {
  const { kafka } = await testStack()
  const options = { brokers: kafka.brokers, clientId: 'operator', logger: quiet }
  operator = createKafkaClient(options, CONNECT_RETRIES.few).admin()
  await operator.connect()
})
after(() => operator.disconnect())
beforeEach(async () => {
  deployment = await deploy(1, FAST)
})
afterEach(() => deployment.close())

/** A pipeline from start to end in which everything in the log is counted; its gaps. */
async function pipelineRuns(meanwhile: () => Promise<void> = async () => {}): Promise<number> {
  const pipeline = await deployment.start()
  try {
    await meanwhile()
    await Promise.race([deployment.settled(), pipeline.failure])
    const { body } = await pipeline.metrics.expose()
    return Number(/^weir_offset_gap_total\{.*\} (\d+)/m.exec(body)?.[1] ?? 0)
  } finally {
    await pipeline.stop()
  }
}

const group = () => `${deployment.prefix}rollup`
const endOfLog = async (): Promise<number> => (await deployment.logged()).length

/** As Kafka's own tools do it: the offset, and no metadata. */
async function setOffset(offset: number): Promise<void> {
  const handler = new Recorder()
  const { log, topic } = deployment
  const tool = log.consumer({ name: 'tool', group: group(), topics: [topic], handler })
  await tool.start()
  await handler.until(() => handler.assignments.length > 0)
  assert(await tool.commit(handler.latest(0), { offset, metadata: '' }))
  await tool.drain(5_000)
}

/** Deletes records as retention does. */
async function retentionTakes(below: number): Promise<void> {
  const { topic } = deployment
  await operator.fetchTopicOffsets(topic) // kafkajs deletes only where it knows the leader.
  await operator.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: `${below}` }] })
}

test('offsets that are set back are counted again, loudly, and change nothing', async () => {
  assert.equal(await pipelineRuns(() => sendMess(deployment, 200, 1)), 0)
  await setOffset(20)
  const gaps = await pipelineRuns(() => sendMess(deployment, 100, 2))
  assert.deepEqual(await deployment.differences(), [])
  assert.equal(gaps, 1)
})

test('offsets that are set beyond the end hide no record that comes later', async () => {
  await pipelineRuns(() => sendMess(deployment, 100, 3))
  await setOffset((await endOfLog()) + 100_000)
  const gaps = await pipelineRuns(() => sendMess(deployment, 200, 4))
  assert.deepEqual(await deployment.differences(), [])
  assert.equal(gaps, 1)
})

test('a group that was deleted counts the log again, and changes nothing', async () => {
  await pipelineRuns(() => sendMess(deployment, 200, 5))
  await operator.deleteGroups([group()])
  await pipelineRuns(() => sendMess(deployment, 100, 6))
  assert.deepEqual(await deployment.differences(), [])
})

for (const forgotten of [false, true]) {
  const group_ = forgotten ? 'whose commits have expired' : 'that slept'
  test(`retention that overtakes a group ${group_} is loud, and what is left is exact`, async () => {
    await pipelineRuns(() => sendMess(deployment, 200, 7))
    const counted = await deployment.logged()
    await sendMess(deployment, 200, 8)
    const all = await deployment.logged()
    const gone = counted.length + 90
    await retentionTakes(gone)
    if (forgotten) await operator.deleteGroups([group()])
    const gaps = await pipelineRuns(() => sendMess(deployment, 50, 9))
    const left = await deployment.logged()
    const known = (records: readonly LoggedRecord[], below: number) =>
      records.filter(({ offset }) => offset < below)
    const earliest = left[0]?.offset ?? 0
    assert(earliest > counted.length && earliest <= gone, `${earliest}`)
    assert.equal(all.length, counted.length + 200)
    assert.deepEqual(await deployment.differences([...known(counted, Infinity), ...left]), [])
    assert.equal(gaps, 1)
  })
}
