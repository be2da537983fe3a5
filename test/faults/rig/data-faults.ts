/** Faults in what is read: poison, skewed clocks, backlogs, positions and their metadata. */
import { setTimeout as sleep } from 'node:timers/promises'
import { queryRows } from '../../../loadtest/clickhouse-query.ts'
import { DeviceAccounts } from '../../../loadtest/device-accounts.ts'
import { MqttClient } from '../../../loadtest/mqtt-client.ts'
import { hostAndPort } from '../../../loadtest/stack-file.ts'
import { systemClock } from '../../../platform/clock.ts'
import { requireKafkajs } from '../../../platform/kafka/kafkajs-replacements.ts'
import type { Assignment, Checkpoint, LogAdmin } from '../../../platform/kafka/log.ts'
import { createAvroEncoder } from '../../../schemas/avro-codec.ts'
import { TELEMETRY_SCHEMA, type Telemetry } from '../../../schemas/telemetry.ts'
import {
  DEAD_LETTERS,
  deviceKey,
  partitionOf,
  subjectOf,
  TELEMETRY,
} from '../../../schemas/topics.ts'
import { eventually } from '../../eventually.ts'
import { readTopic } from '../../read-topic.ts'
import { logOn, withKafkajsAdmin } from './acknowledged-loss.ts'
import type { RigSystem } from './rig-system.ts'
import { counted, type Fault, type RoundContext } from './round.ts'

const DAY_MS = 86_400_000
const POISON_DEVICE = 'poisoner'
const WATCHED_PARTITIONS = [0, 1, 2, 3]
/** Where the records of a device belong: elsewhere they are dead letters before they are read. */
const homeOf = (device: string): number =>
  partitionOf(Buffer.from(deviceKey('test', device)), WATCHED_PARTITIONS.length)
const topicOf = (system: RigSystem): string => `${system.namespace}${TELEMETRY.name}`
const groupOf = (system: RigSystem): string => `${system.namespace}rollup`
const logOf = (system: RigSystem) => logOn(system.kafka.addresses('READER'), 'faults-data')

function telemetry(values: readonly number[]): Telemetry {
  const recvTs = systemClock.nowMs()
  return {
    tenant: 'test',
    device: POISON_DEVICE,
    recvTs,
    protocol: 'mqtt',
    stamped: true,
    numbers: [{ metric: 'poison', t0: recvTs, dt: values.map((_, n) => n), v: [...values] }],
    booleans: [],
    strings: [],
  }
}

/** The id under which the registry knows a schema for this subject. */
async function schemaId(system: RigSystem, subject: string, schema: unknown): Promise<number> {
  const answer = await fetch(`${system.registryUrl}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  })
  if (!answer.ok) throw new Error(`the registry refused a schema: ${await answer.text()}`)
  return ((await answer.json()) as { id: number }).id
}

/** Each of them must become a dead letter at its offset, and disturb nobody. */
async function poison(context: RoundContext): Promise<void> {
  const { system, random, fault } = context
  const own = await schemaId(system, subjectOf(topicOf(system)), TELEMETRY_SCHEMA)
  const strange = await schemaId(system, `${system.namespace}strange`, {
    type: 'record',
    name: 'Strange',
    fields: [{ name: 'a', type: 'string' }],
  })
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, own)
  const framed = (id: number, body: Buffer): Buffer => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(id, 1)
    return Buffer.concat([head, body])
  }
  const noise = Buffer.from(Array.from({ length: 200 }, () => random.integer(256)))
  noise[0] = 0x7b
  const hundred = Array.from({ length: 100 }, (_, n) => (n === 50 ? Number.NaN : n))
  const records: readonly (readonly [string, Buffer | null])[] = [
    ['random bytes', noise],
    ['bad magic', Buffer.concat([Buffer.from([9]), encoder.encode(telemetry([1])).subarray(1)])],
    ['truncated', encoder.encode(telemetry([1, 2, 3])).subarray(0, 30)],
    ['unknown schema id', framed(999_999, Buffer.from('body'))],
    ['incompatible schema', framed(strange, Buffer.from([2, 97]))],
    ['NaN and infinities', encoder.encode(telemetry([Number.NaN, Infinity, -Infinity]))],
    ['one bad sample among a hundred', encoder.encode(telemetry(hundred))],
    ['no value', null],
  ]
  const placed = new Map<string, string>()
  const readable = new Set(['NaN and infinities', 'one bad sample among a hundred'])
  for (const [name, value] of records) {
    const partition = readable.has(name)
      ? homeOf(POISON_DEVICE)
      : random.integer(WATCHED_PARTITIONS.length)
    const at = await appendRaw(system, { device: POISON_DEVICE, partition, value })
    placed.set(`${partition}/${at}`, name)
  }
  const refused = await appendRaw(system, {
    ...{ device: POISON_DEVICE, partition: 0, value: Buffer.alloc(20 * 1024 * 1024) },
  }).catch(() => undefined)
  context.note(refused === undefined ? '20 MiB refused by the broker' : '20 MiB taken')
  await context.acknowledgedMore(100)
  let missing = [...placed]
  await eventually('all dead letters', async () => {
    const found = await letterPlaces(system)
    missing = [...placed].filter(([place]) => !found.has(place))
    return missing.length === 0 ? true : undefined
  }).catch((error: unknown) => fault(String(error)))
  for (const [place, name] of missing) fault(`${name} at ${place} has no dead letter (I10)`)
}

/** Gives the offset. */
async function appendRaw(
  system: RigSystem,
  {
    device,
    partition,
    value,
  }: Readonly<{ device: string; partition: number; value: Buffer | null }>,
): Promise<number> {
  const { Kafka, logLevel, Partitioners } = requireKafkajs()
  const kafka = new Kafka({
    brokers: [...system.kafka.addresses('READER')],
    clientId: 'faults-poison',
    logLevel: logLevel.NOTHING,
    retry: { retries: 3 },
  })
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  try {
    const key = Buffer.from(deviceKey('test', device))
    const [answer] = await producer.send({
      topic: topicOf(system),
      acks: -1,
      messages: [{ partition, key, value }],
    })
    return Number(answer?.baseOffset ?? -1)
  } finally {
    await producer.disconnect()
  }
}

const KILLER = 'kills-whoever-reads-this-name'
/** Stands in for a defect that one record's bytes bring out: the process dies where it reads them. */
const DIES_OF_KILLER = `const read = Buffer.prototype.toString
Buffer.prototype.toString = function (...how) {
  const text = read.apply(this, how)
  if (text === '${KILLER}') process.kill(process.pid, 'SIGKILL')
  return text
}`

/** It is found by the journal and put aside, and nobody else's record with it. */
async function crashRecord({ system, acknowledgedMore, fault, note }: RoundContext): Promise<void> {
  const unit = system.pipeline
  const own = unit.spec
  const preload = `data:text/javascript,${encodeURIComponent(DIES_OF_KILLER)}`
  const nodeFlags = ['--import', preload]
  await unit.stop()
  unit.spec = system.pipelineSpec(own.id, { nodeFlags })
  await unit.start()
  const exits = unit.exits
  const id = await schemaId(system, subjectOf(topicOf(system)), TELEMETRY_SCHEMA)
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, id)
  const record = telemetry([1])
  const device = `killer-${systemClock.nowMs()}`
  const killer = {
    ...record,
    device,
    numbers: record.numbers.map((each) => ({ ...each, metric: KILLER })),
  }
  const partition = homeOf(device)
  const value = encoder.encode(killer)
  const place = `${partition}/${await appendRaw(system, { device, partition, value })}`
  await eventually('the record that kills is a dead letter', async () =>
    (await letterPlaces(system)).has(place) ? true : undefined,
  ).catch((error: unknown) => fault(String(error)))
  note(`the pipeline died ${unit.exits - exits} times of it`)
  if (unit.exits === exits) fault('the record killed nobody: nothing was shown')
  await acknowledgedMore(100)
  await unit.stop()
  unit.spec = own
  await unit.start()
}

const lettersOf = (system: RigSystem) =>
  readTopic(logOf(system), `${system.namespace}${DEAD_LETTERS.name}`)

async function letterPlaces(system: RigSystem): Promise<ReadonlySet<string>> {
  return new Set(
    (await lettersOf(system)).map(({ headers }) => {
      const text = (name: string): string => headers[name]?.toString() ?? ''
      return `${text('dlq.orig.partition')}/${text('dlq.orig.offset')}`
    }),
  )
}

/** Of a device whose clock stands elsewhere: ahead is a dead letter, back is a correction. */
async function skewedDevices({ system, prefix, note, fault }: RoundContext): Promise<void> {
  const letters = async () => (await lettersOf(system)).length
  const before = await letters()
  const client = await deviceOf(system, `x${prefix}skewed`)
  const now = systemClock.nowMs()
  const stamps = [now + DAY_MS, now - DAY_MS, 1, Date.UTC(2100, 0, 1), now + 3_600_000]
  for (const ts of stamps) {
    const payload = JSON.stringify({ ts, values: { skewed: 1 } })
    await client.publish('t', Buffer.from(payload))
  }
  await client.end()
  const ahead = 3
  const ancient = 1
  await eventually('the skewed samples are dead letters', async () =>
    (await letters()) >= before + ahead + ancient ? true : undefined,
  ).catch((error: unknown) => fault(String(error)))
  note(`${(await letters()) - before} of ${stamps.length} are dead letters`)
}

async function deviceOf(system: RigSystem, id: string): Promise<MqttClient> {
  const accounts = new DeviceAccounts({ url: system.apiUrl, key: system.apiKey }, undefined)
  const { username = '', secret = '' } = (await accounts.ensure([{ id, name: id }])).get(id) ?? {}
  const place = hostAndPort(system.mqttUrl, 1883)
  const client = new MqttClient({ ...place, clientId: id, username, password: secret })
  const outcome = await client.connect()
  if (outcome.kind !== 'connected') throw new Error(`${id} is not connected: ${outcome.kind}`)
  return client
}

/** Three days of one device, as fast as it can, between everybody else's messages. */
async function backlog({ system, prefix, note, acknowledgedMore }: RoundContext): Promise<void> {
  const client = await deviceOf(system, `x${prefix}offline`)
  const messages = 400
  const perMessage = 50
  const stepMs = (3 * DAY_MS) / (messages * perMessage)
  const startMs = Math.floor(systemClock.nowMs() - 3 * DAY_MS)
  const began = systemClock.monotonicMs()
  const sent = Array.from({ length: messages }, (_, n) => {
    const samples = Array.from({ length: perMessage }, (_unused, k) => ({
      ts: startMs + Math.floor((n * perMessage + k) * stepMs),
      values: { level: n + k },
    }))
    return client.publish('t', Buffer.from(JSON.stringify(samples)))
  })
  await Promise.all(sent)
  const seconds = (systemClock.monotonicMs() - began) / 1000
  note(`${messages * perMessage} samples of three days in ${seconds.toFixed(1)} s`)
  await client.end()
  await acknowledgedMore(100)
}

/** All closed windows of a week are folded again while devices send, and correct some of them. */
async function reprocessed({ system, note, acknowledgedMore }: RoundContext): Promise<void> {
  const [said] = await Promise.all([reprocessAgain(system, RUNS_MAX), acknowledgedMore(200)])
  note(said.trim().split('\n').at(-1) ?? '')
}

/** While corrections keep arriving it may end with "run it again": an operator does what it says. */
const RUNS_MAX = 3

async function reprocessAgain(system: RigSystem, runsLeft: number): Promise<string> {
  try {
    return await system.weir('reprocess', ['--from', '7d', '--json'])
  } catch (error) {
    if (runsLeft <= 1 || !String(error).includes('run it again')) throw error
    return reprocessAgain(system, runsLeft - 1)
  }
}

type Committed = ReadonlyMap<number, Checkpoint>

/** While no pipeline runs, the group's commits are rewritten as an operator's tool would. */
const rewrittenCommits =
  (rewrite: (checkpoint: Checkpoint, context: RoundContext) => Checkpoint) =>
  async (context: RoundContext): Promise<void> => {
    const { system, acknowledgedMore } = context
    await system.pipeline.stop()
    await commitAll(system, (checkpoint) => rewrite(checkpoint, context))
    await acknowledgedMore(200)
    await system.pipeline.start()
  }

async function withAdmin<T>(system: RigSystem, work: (admin: LogAdmin) => Promise<T>): Promise<T> {
  const admin = logOf(system).admin()
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}

const committedOf = (system: RigSystem): Promise<Committed> =>
  withAdmin(system, (admin) => admin.committed(groupOf(system), topicOf(system)))

async function commitAll(
  system: RigSystem,
  rewrite: (checkpoint: Checkpoint) => Checkpoint,
): Promise<void> {
  const assignments: Assignment[] = []
  const all = { resolve: (): void => {} }
  const assigned = new Promise<void>((resolve) => (all.resolve = resolve))
  const consumer = logOf(system).consumer({
    name: 'operator',
    group: groupOf(system),
    topics: [topicOf(system)],
    handler: {
      assigned: async (assignment) => {
        assignments.push(assignment)
        if (assignments.length === WATCHED_PARTITIONS.length) all.resolve()
        return assignment.committed?.offset ?? 0
      },
      revoked: () => {},
      batch: () => new Promise(() => {}), // It reads nothing.
    },
  })
  await consumer.start()
  await assigned
  for (const assignment of assignments) {
    if (assignment.committed === undefined) continue
    await consumer.commit(assignment, rewrite(assignment.committed))
  }
  await consumer.drain(500)
}

const METADATA = [
  () => 'garbage ☃',
  (text: string) => text.slice(0, Math.max(1, text.length >> 1)),
  (text: string) => text.replace(/^v\d+/, 'v9'),
  () => '',
] as const

/** The operator goes back: everything since is read again. */
const regressed = rewrittenCommits(({ offset, metadata }, { random }) => {
  const back = random.integer(400)
  return { offset: Math.max(0, offset - back), metadata: random.chance(0.5) ? '' : metadata }
})

const corrupted = rewrittenCommits(({ offset, metadata }, { random, round }) => {
  const spoil = METADATA[(round + random.integer(2)) % METADATA.length] ?? METADATA[0]
  return { offset, metadata: spoil(metadata) }
})

/** The operator skips what is waiting, is told so loudly, and goes back. */
async function advanced(context: RoundContext): Promise<void> {
  const { system, acknowledgedMore, fault } = context
  await system.pipeline.stop()
  const before = await committedOf(system)
  await acknowledgedMore(200)
  const ends = await withAdmin(system, (admin) => admin.offsetRange(topicOf(system)))
  let partition = 0
  const logged = system.logOf(system.pipeline.spec.id).length
  await commitAll(system, (checkpoint) => {
    const end = ends.get(partition++)?.end ?? checkpoint.offset
    return { offset: end, metadata: '' }
  })
  await system.pipeline.start()
  await acknowledgedMore(100)
  const said = system.logOf(system.pipeline.spec.id).slice(logged)
  if (!/commit metadata is not readable/.test(said)) fault('skipping records was not told')
  await system.pipeline.stop()
  let index = 0
  await commitAll(system, (checkpoint) => before.get(index++) ?? checkpoint)
  await system.pipeline.start()
}

/** The group's offsets expire: all of the log is read again. */
async function expired({ system, acknowledgedMore }: RoundContext): Promise<void> {
  await system.pipeline.stop()
  await withKafkajsAdmin(system.kafka, (admin) => admin.deleteGroups([groupOf(system)]))
  await acknowledgedMore(100)
  await system.pipeline.start()
}

/** Retention was faster than we: what is gone is gone, and said. */
async function overrun({ system, acknowledgedMore, fault }: RoundContext): Promise<void> {
  await system.pipeline.stop()
  await acknowledgedMore(200)
  await sleep(500)
  const ends = await withAdmin(system, (admin) => admin.offsetRange(topicOf(system)))
  await withKafkajsAdmin(system.kafka, async (admin) => {
    await admin.fetchTopicOffsets(topicOf(system)) // kafkajs deletes only where it knows the leader.
    await admin.deleteTopicRecords({
      topic: topicOf(system),
      partitions: [...ends].map(([partition, { end }]) => ({ partition, offset: String(end) })),
    })
  })
  const logged = system.logOf(system.pipeline.spec.id).length
  await system.pipeline.start()
  await acknowledgedMore(100)
  await eventually('the gap is told', () =>
    /offsets are missing from the log/.test(system.logOf(system.pipeline.spec.id).slice(logged))
      ? true
      : undefined,
  ).catch(() => fault('records that retention took were skipped in silence'))
}

const REPLAYED_RECORDS = 30
/** For so long a pipeline that gave an id up does not ask for it again. */
const UNKNOWN_MS = 31_000

/**
 * Records of a schema that nobody knows yet become dead letters; then it is known, and two operators
 * replay all of them at once.
 */
async function twoOperators(context: RoundContext): Promise<void> {
  const { system, prefix, fault, note } = context
  const device = `${prefix.replace(/-$/, '')}x`
  const marked = (name: string): object => ({ ...TELEMETRY_SCHEMA, doc: `${name} of ${prefix}` })
  const subject = `${system.namespace}later`
  const known = await schemaId(system, `${subject}.now`, marked('now'))
  const foreseen = known + 1
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, foreseen)
  const partition = homeOf(device)
  const places: string[] = []
  for (let n = 0; n < REPLAYED_RECORDS; n++) {
    const record = { ...telemetry([n]), device, recvTs: systemClock.nowMs() }
    places.push(
      `${partition}/${await appendRaw(system, { device, partition, value: encoder.encode(record) })}`,
    )
  }
  await eventually('the letters of an unknown schema', async () => {
    const found = await letterPlaces(system)
    return places.every((place) => found.has(place)) ? true : undefined
  })
  const given = await schemaId(system, `${subject}.then`, marked('then'))
  if (given !== foreseen) return fault(`the registry gave id ${given}, ${foreseen} was foreseen`)
  await sleep(UNKNOWN_MS)
  // What cannot be read names no device.
  const replay = ['replay', '--reason', 'schema_unknown', '--json']
  const said = await Promise.all([system.weir('dlq', replay), system.weir('dlq', replay)])
  await counted(system, 60_000)
  const [[raw = 0] = []] = await queryRows(system.clickhousePlace, {
    sql: `SELECT count() FROM samples FINAL WHERE (tenant, series) IN
      (SELECT tenant, series FROM series WHERE device = {device:String})`,
    parameters: { device },
  })
  const [[rolled = 0] = []] = await queryRows(system.clickhousePlace, {
    sql: `SELECT sum(cnt) FROM rollup_10s FINAL WHERE (tenant, series) IN
      (SELECT tenant, series FROM series WHERE device = {device:String})`,
    parameters: { device },
  })
  note(`${places.length} records replayed twice are ${raw} samples, counted ${rolled}`)
  if (Number(raw) !== places.length || Number(rolled) !== places.length) {
    note(said.join(' '))
    fault(`${places.length} records replayed by two are ${raw} samples, counted ${rolled}`)
  }
}

export const DATA_FAULTS: readonly Fault[] = [
  {
    name: 'out of order, late to 3 days, duplicates',
    number: '17',
    on: 'one',
    play: ({ acknowledgedMore }) => acknowledgedMore(800),
  },
  { name: 'backlog of 3 days', number: '18', on: 'one', play: backlog },
  { name: 'poison records', number: '19', on: 'one', play: poison },
  { name: 'record that crashes the process', number: '19', on: 'one', play: crashRecord },
  { name: 'skewed device clocks', number: '16', on: 'one', play: skewedDevices },
  { name: 'a week reprocessed while live', number: '24', on: 'one', play: reprocessed },
  { name: 'offsets regress', number: '20', on: 'one', play: regressed },
  {
    ...{ name: 'offsets advance', number: '20', on: 'one', play: advanced },
    commitsMovedAhead: true,
  },
  { name: 'offsets expired', number: '20', on: 'one', play: expired },
  { name: 'retention overrun', number: '20', on: 'one', play: overrun, lossAllowed: true },
  { name: 'corrupt commit metadata', number: '26', on: 'one', play: corrupted },
  { name: 'two operators replay dead letters', number: '25', on: 'one', play: twoOperators },
]
