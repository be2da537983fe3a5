/**
 * The ways in which a stock kafkajs producer loses or repeats what it acknowledged, as schedules
 * on a live cluster of three. Each is played for a sender: stock kafkajs, or our writer. A sender
 * behaves when everything it called stored is in the log, once, in order.
 *
 *   H1   two partitions in one send; A has not answered and loses its partition to B, which has
 *   H1b  the same, but B answers only after the send was tried again
 *   H2   two sends to one partition; the response to the first is lost, the broker has it
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../../platform/clock.ts'
import { createKafkaLog } from '../../../platform/kafka/kafkajs-log.ts'
import { requireKafkajs } from '../../../platform/kafka/kafkajs-replacements.ts'
import type { Log } from '../../../platform/kafka/log.ts'
import { createLogger } from '../../../platform/observe/json-logger.ts'
import { Metrics } from '../../../platform/observe/metrics.ts'
import { eventually } from '../../eventually.ts'
import { readTopic } from '../../read-topic.ts'
import { API, type KafkaRequest, type Passage, producedTopic } from './kafka-proxy.ts'
import type { KafkaCluster } from './kafka-cluster.ts'
import type { StockAnswer, StockOrder } from './stock-kafkajs.program.ts'

export type Sends = StockOrder['sends']
/** Gives one outcome a send: 'ok' or why not. */
export type Sender = (
  order: Readonly<{ cluster: KafkaCluster; topic: string; sends: Sends }>,
) => Promise<readonly string[]>

export type HazardResult = Readonly<{
  outcomes: readonly string[]
  /** What each partition holds afterwards, in order. */
  log: readonly (readonly string[])[]
}>
export type Hazard = Readonly<{
  name: 'H1' | 'H1b' | 'H2'
  play(
    options: Readonly<{ cluster: KafkaCluster; topic: string; sender: Sender }>,
  ): Promise<HazardResult>
}>

/** Stock kafkajs gives a request up after this. Ours waits longer; see kafkajs-client.ts. */
const STOCK_REQUEST_TIMEOUT_MS = 6_000
/** Longer than stock kafkajs waits before it tries a send again, which nothing outside shows. */
const RETRY_UNDER_WAY_MS = 2_000

export const HAZARDS: readonly Hazard[] = [
  { name: 'H1', play: (options) => leaderMoves({ ...options, answerLate: false }) },
  { name: 'H1b', play: (options) => leaderMoves({ ...options, answerLate: true }) },
  { name: 'H2', play: responseLost },
]

type Play = Readonly<{ cluster: KafkaCluster; topic: string; sender: Sender }>

async function leaderMoves(play: Play & Readonly<{ answerLate: boolean }>): Promise<HazardResult> {
  const { cluster, topic, sender, answerLate } = play
  const layout = [
    [1, 2, 3],
    [2, 3, 1],
  ]
  await createTopic(cluster, topic, layout)
  const isOurs = (request: KafkaRequest): boolean =>
    request.apiKey === API.produce && producedTopic(request) === topic
  const moved = signal()
  const other = { reached: signal(), mayAnswer: signal() }
  const failed = signal()
  const refreshed = signal()
  let firstAtA = true
  let firstAtB = true
  const remove = cluster.river.add({
    async request(request): Promise<Passage> {
      if (!isOurs(request) || request.broker !== 1 || !firstAtA) return 'pass'
      firstAtA = false
      await moved.promise
      return 'pass'
    },
    async response(request): Promise<Passage> {
      const after = request.apiKey === API.metadata && request.clientId.endsWith(topic)
      if (after && failed.fired()) refreshed.fire()
      if (!isOurs(request)) return 'pass'
      if (request.broker === 1) failed.fire()
      if (request.broker !== 2 || !firstAtB) return 'pass'
      firstAtB = false
      other.reached.fire()
      if (answerLate) await other.mayAnswer.promise
      return 'pass'
    },
  })
  const sending = sender({
    cluster,
    topic,
    sends: [
      [
        [0, '0a'],
        [1, '1a'],
      ],
    ],
  })
  await other.reached.promise
  await moveLeader(cluster, topic, { partition: 0, to: 2, beside: 3 })
  moved.fire()
  await refreshed.promise
  if (answerLate) await sleep(RETRY_UNDER_WAY_MS)
  other.mayAnswer.fire()
  const outcomes = await sending
  remove()
  return { outcomes, log: await logOf(cluster, topic, layout.length) }
}

async function responseLost({ cluster, topic, sender }: Play): Promise<HazardResult> {
  await createTopic(cluster, topic, [[1, 2, 3]])
  let lost = false
  const remove = cluster.river.add({
    response(request) {
      if (request.apiKey !== API.produce || producedTopic(request) !== topic || lost) return 'pass'
      lost = true
      return 'drop'
    },
  })
  const outcomes = await sender({ cluster, topic, sends: [[[0, '0a']], [[0, '0b']]] })
  remove()
  return { outcomes, log: await logOf(cluster, topic, 1) }
}

export const stockKafkajs: Sender = async ({ cluster, topic, sends }) => {
  const order: StockOrder = {
    brokers: cluster.addresses('RIVER'),
    clientId: `stock-${topic}`,
    topic,
    requestTimeoutMs: STOCK_REQUEST_TIMEOUT_MS,
    sends,
  }
  const program = join(import.meta.dirname, 'stock-kafkajs.program.js')
  const child = spawn(process.execPath, [program, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`the stock producer ended with ${String(code)}`)
  return (JSON.parse(output) as StockAnswer).outcomes
}

export const ourWriter: Sender = async ({ cluster, topic, sends }) => {
  const writer = logOn(cluster.addresses('RIVER'), `ours-${topic}`).writer({
    name: 'hazard',
    queuedBytesMax: 1_000_000,
    lingerMs: 0,
  })
  await writer.start()
  const appended = sends.map((records) =>
    Promise.all(
      records.map(([partition, value]) =>
        writer.append(topic, partition, { key: null, value: Buffer.from(value) }),
      ),
    ).then(
      () => 'ok',
      (error: unknown) => String(error),
    ),
  )
  const outcomes = await Promise.all(appended)
  await writer.drain(5_000)
  return outcomes
}

/** Our log on any listener of a cluster. */
export function logOn(brokers: readonly string[], clientId: string): Log {
  return createKafkaLog({
    brokers,
    clientId,
    clock: systemClock,
    metrics: new Metrics({ role: 'faults', processMetrics: false }),
    logger: createLogger({
      level: 'error',
      format: 'text',
      clock: systemClock,
      write: (line) => process.stderr.write(line),
    }),
  })
}

type KafkajsAdmin = ReturnType<InstanceType<ReturnType<typeof requireKafkajs>['Kafka']>['admin']>

/** Kafkajs's administrator, for what our LogAdmin has no need of. */
export async function withKafkajsAdmin<T>(
  cluster: KafkaCluster,
  work: (admin: KafkajsAdmin) => Promise<T>,
): Promise<T> {
  const { Kafka, logLevel } = requireKafkajs()
  const kafka = new Kafka({
    brokers: [...cluster.addresses('READER')],
    clientId: 'faults-admin',
    logLevel: logLevel.NOTHING,
  })
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

async function createTopic(
  cluster: KafkaCluster,
  topic: string,
  layout: readonly (readonly number[])[],
): Promise<void> {
  const replicaAssignment = layout.map((replicas, partition) => ({
    partition,
    replicas: [...replicas],
  }))
  await withKafkajsAdmin(cluster, async (admin) => {
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, replicaAssignment }] })
    await eventually(`${topic} is known`, () => leaderOf(admin, topic, layout.length - 1))
  })
}

/** Undefined while the broker that was asked has not heard of it, which kafkajs takes for an error. */
export async function leaderOf(
  admin: KafkajsAdmin,
  topic: string,
  partition: number,
): Promise<number | undefined> {
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => undefined)
  const found = metadata?.topics[0]?.partitions.find((each) => each.partitionId === partition)
  return found === undefined || found.leader < 0 ? undefined : found.leader
}

/** The old leader leaves the replicas, so that another must lead; two are left, which is enough. */
export async function moveLeader(
  cluster: KafkaCluster,
  topic: string,
  move: Readonly<{ partition: number; to: number; beside: number }>,
): Promise<void> {
  const { partition, to, beside } = move
  await withKafkajsAdmin(cluster, async (admin) => {
    await admin.alterPartitionReassignments({
      topics: [{ topic, partitionAssignment: [{ partition, replicas: [to, beside] }] }],
    })
    await eventually(`${topic}/${partition} is led by ${to}`, async () =>
      (await leaderOf(admin, topic, partition)) === to ? true : undefined,
    )
  })
}

/** Every value of a hazard begins with its partition: 0a, 0b, 1a. */
async function logOf(cluster: KafkaCluster, topic: string, partitions: number) {
  const log = logOn(cluster.addresses('READER'), `judge-${topic}`)
  const values = (await readTopic(log, topic)).map(({ value }) => value?.toString() ?? '')
  return Array.from({ length: partitions }, (_, partition) =>
    values.filter((value) => value.startsWith(String(partition))),
  )
}

function signal(): Readonly<{ promise: Promise<void>; fire: () => void; fired: () => boolean }> {
  let fired = false
  let resolve: () => void = () => {}
  const promise = new Promise<void>((settle) => (resolve = settle))
  const fire = (): void => {
    fired = true
    resolve()
  }
  return { promise, fire, fired: () => fired }
}
