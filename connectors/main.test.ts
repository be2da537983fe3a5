/**
 * The connectors process as it is wired, on real Kafka, registry and Postgres, spoken to by clients
 * that others wrote: mosquitto_pub and the npm package mqtt.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import mqtt from 'mqtt'
import { SYSTEM } from '../devices/access/change-log.ts'
import type { ClockPolicy, DeviceState } from '../devices/device.ts'
import { CredentialStore } from '../devices/credential-store.ts'
import { DeviceStore } from '../devices/device-store.ts'
import { systemClock } from '../platform/clock.ts'
import { Failure } from '../platform/failure.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import { startWithSchemas } from '../platform/kafka/schema-registry.ts'
import type { Log, LogConsumer, LogRecord } from '../platform/kafka/log.ts'
import { drainServices, startServices } from '../platform/lifecycle/run-services.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import { Metrics } from '../platform/observe/metrics.ts'
import { packageRoot } from '../platform/package-root.ts'
import { Postgres } from '../platform/postgres/postgres.ts'
import type { AvroDecoder } from '../schemas/avro-codec.ts'
import { DEAD_LETTER_HEADERS } from '../schemas/dead-letter.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import type { Telemetry } from '../schemas/telemetry.ts'
import { TopicCodecs } from '../schemas/topic-codecs.ts'
import { topicSpecs } from '../schemas/topic-specs.ts'
import { TELEMETRY } from '../schemas/topics.ts'
import { testStack } from '../test/stack.ts'
import { connectorsRole } from './main.ts'
import { CONNACK } from './mqtt/packet.ts'
import { QUIET } from './testing/mqtt-bench.ts'

const TENANT = 'acme'
const HOST = '127.0.0.1'
const CREDENTIAL_KEY = 'a key of the test, long enough'
const PARTITIONS = 3
const DRAIN_MS = 5000

type Credential = Readonly<{ username: string; secret: string }>
type Context = Parameters<typeof connectorsRole.build>[0]

let world: Awaited<ReturnType<typeof createWorld>>
before(async () => {
  world = await createWorld()
})
after(() => world.end())

describe('a reading', () => {
  it('published by mosquitto_pub is in Kafka when it returns', async () => {
    const device = await world.newDevice('pub-1')
    await publishWithMosquitto(device, '{"temperature":21.5}')
    const { telemetry } = await world.telemetryOf('pub-1', 1)
    assert.deepEqual(telemetry[0]?.numbers[0]?.metric, 'temperature')
    assert.deepEqual(telemetry[0]?.numbers[0]?.v, [21.5])
    assert.equal(telemetry[0]?.tenant, TENANT)
    assert.equal(telemetry[0]?.stamped, false)
  })

  it("with the token as username goes to ThingsBoard's topic as well", async () => {
    const { secret } = await world.newDevice('pub-2')
    const args = ['-u', secret, '-q', '1', '-t', 'v1/devices/me/telemetry', '-m', '{"a":1}']
    await mosquitto(args)
    const { telemetry } = await world.telemetryOf('pub-2', 1)
    assert.equal(telemetry.length, 1)
  })

  it('published by mqtt.js is acknowledged at every QoS, a hundred at a time', async () => {
    const { username, secret } = await world.newDevice('js-1')
    const client = await mqtt.connectAsync(world.mqttUrl, { username, password: secret })
    const publishing = Array.from({ length: 99 }, (_, index) =>
      client.publishAsync('t', `{"ts":${1_700_000_000_000 + index},"values":{"n":${index}}}`, {
        qos: index % 3 === 0 ? 0 : index % 3 === 1 ? 1 : 2,
      }),
    )
    await Promise.all(publishing)
    await client.endAsync()
    const { telemetry } = await world.telemetryOf('js-1', 99)
    const order = telemetry.map(({ numbers }) => numbers[0]?.v[0])
    assert.deepEqual(
      order,
      Array.from({ length: 99 }, (_, index) => index),
    )
    const stamps = telemetry.map(({ recvTs }) => recvTs)
    assert.ok(stamps.every((stamp, at) => at === 0 || stamp > (stamps[at - 1] ?? 0)))
  })

  it('with a wrong time is moved to its receive time where the device says so, also later', async () => {
    const { username, secret } = await world.newDevice('clock-1', 'restamp')
    const client = await mqtt.connectAsync(world.mqttUrl, { username, password: secret })
    const wrong = '{"ts":86400000,"seq":3,"values":{"a":1}}'
    await client.publishAsync('t', wrong, { qos: 1 })
    await world.setClockPolicy('clock-1', 'reject')
    const future = `{"ts":${systemClock.nowMs() + 3_600_000},"values":{"a":1}}`
    // Until the change has arrived, and the device learns nothing of it, they are moved too.
    const letter = world.deadLetterOf('clock-1')
    const refused = letter.then(() => true)
    const stored = () => client.publishAsync('t', future, { qos: 1 }).then(() => false)
    while (!(await Promise.race([refused, stored()])));
    await client.endAsync()
    const reason = (await letter).headers[DEAD_LETTER_HEADERS.reason]?.toString()
    assert.equal(reason, 'clock_skew')
    const [first] = (await world.telemetryOf('clock-1', 1)).telemetry
    assert.equal(first?.seq, 3)
    assert.equal(first?.numbers[0]?.t0, first?.recvTs)
    assert.equal((first?.recvTs ?? 0) + (first?.shiftMs ?? 0), 86_400_000)
  })

  it('that is refused is in the dead letters byte for byte', async () => {
    const device = await world.newDevice('bad-1')
    await publishWithMosquitto(device, '{"temperature":1e400}')
    const letter = await world.deadLetterOf('bad-1')
    assert.equal(letter.value?.toString(), '{"temperature":1e400}')
    assert.equal(letter.headers[DEAD_LETTER_HEADERS.reason]?.toString(), 'value_not_finite')
  })
})

describe('a device', () => {
  it('with a wrong secret is refused', async () => {
    const { username } = await world.newDevice('wrong-1')
    await assert.rejects(publishWithMosquitto({ username, secret: 'wrong' }, '{"a":1}'))
  })

  it('in quarantine is acknowledged and kept apart, from the moment on that it is told', async () => {
    const { username, secret } = await world.newDevice('odd-1')
    const client = await mqtt.connectAsync(world.mqttUrl, { username, password: secret })
    await client.publishAsync('t', '{"ts":1,"values":{"n":0}}', { qos: 1 })
    await world.setState('odd-1', 'quarantined')
    const kept = world.quarantinedOf('odd-1', 1).then(() => true)
    const said = () => client.publishAsync('t', '{"a":1}', { qos: 1 }).then(() => false)
    while (!(await Promise.race([kept, said()])));
    await client.endAsync()
    // A new connection is kept apart as well.
    await publishWithMosquitto({ username, secret }, '{"b":1}')
    const isNew = ({ numbers }: Telemetry) => numbers[0]?.metric === 'b'
    for (let n = 1; !(await world.quarantinedOf('odd-1', n)).some(isNew); n += 1);
    const { telemetry } = await world.telemetryOf('odd-1', 1)
    assert.ok(!telemetry.some(isNew))
  })

  for (const state of ['suspended', 'retired'] as const) {
    it(`that is ${state} loses its connection, and gets no other`, async () => {
      const { username, secret } = await world.newDevice(`is-${state}`)
      const options = { username, password: secret, reconnectPeriod: 0 }
      const client = await mqtt.connectAsync(world.mqttUrl, options)
      const closed = new Promise<void>((resolve) => {
        client.once('close', () => resolve())
      })
      await world.setState(`is-${state}`, state)
      await closed
      await assert.rejects(publishWithMosquitto({ username, secret }, '{"a":1}'))
    })
  }

  it('that is deleted loses its connection', async () => {
    const { username, secret } = await world.newDevice('gone-1')
    const client = await mqtt.connectAsync(world.mqttUrl, {
      username,
      password: secret,
      reconnectPeriod: 0,
    })
    const closed = new Promise<void>((resolve) => {
      client.once('close', () => resolve())
    })
    await world.deleteDevice('gone-1')
    await closed
    await assert.rejects(publishWithMosquitto({ username, secret }, '{"a":1}'))
  })
})

describe('a secret that was rotated', () => {
  it('works on for its overlap, then its connections end and those of the new one do not', async () => {
    const { username, secret } = await world.newDevice('rotated-1')
    const connect = (password: string) =>
      mqtt.connectAsync(world.mqttUrl, { username, password, reconnectPeriod: 0 })
    const old = await connect(secret)
    const ended = closed(old)
    const newSecret = await world.rotate('rotated-1', 2)
    const young = await connect(newSecret)
    const older = await connect(secret)
    const endedToo = closed(older)
    await old.publishAsync('t', '{"ts":1700000000000,"values":{"a":1}}', { qos: 1 })
    await Promise.all([ended, endedToo])
    await young.publishAsync('t', '{"ts":1700000001000,"values":{"a":2}}', { qos: 1 })
    assert.equal(young.connected, true)
    await assert.rejects(connect(secret), { code: CONNACK.notAuthorized })
    await young.endAsync()
  })

  it('without an overlap ends its connections at once', async () => {
    const { username, secret } = await world.newDevice('rotated-2')
    const options = { username, password: secret, reconnectPeriod: 0 }
    const old = await mqtt.connectAsync(world.mqttUrl, options)
    const ended = closed(old)
    const password = await world.rotate('rotated-2', 0)
    await ended
    const young = await mqtt.connectAsync(world.mqttUrl, { ...options, password })
    await young.endAsync()
  })
})

describe('the last use of a credential', () => {
  it('is noted, at the latest when the process ends', async () => {
    const { username, secret } = await world.newDevice('used-1')
    assert.deepEqual(await world.usesOf('used-1'), [undefined])
    const role = await connectorsRole.build(world.context())
    const started: Service[] = []
    await startServices(role.services, started)
    const fromMs = systemClock.nowMs()
    const url = role.addresses()['mqtt'] ?? ''
    const client = await mqtt.connectAsync(url, { username, password: secret })
    await client.endAsync()
    assert.deepEqual(await drainServices(started, DRAIN_MS, systemClock), [])
    const [usedAtMs = 0] = await world.usesOf('used-1')
    assert.ok(usedAtMs >= fromMs && usedAtMs <= systemClock.nowMs())
  })
})

describe('without Postgres', () => {
  it('the process starts, and tells strangers to come again later', async () => {
    const nobody = `postgres://nobody@${HOST}:1/none`
    const role = await connectorsRole.build(world.context({ postgresUrl: nobody }))
    const started: Service[] = []
    await startServices(role.services, started)
    const connecting = mqtt.connectAsync(
      role.addresses()['mqtt'] ?? '',
      { username: 'a@acme', password: 'b', reconnectPeriod: 0 },
      false,
    )
    await assert.rejects(connecting, { code: CONNACK.unavailable })
    assert.deepEqual(await drainServices(started, DRAIN_MS, systemClock), [])
  })
})

describe('a taken port', () => {
  it('is refused in a sentence that names the option', async () => {
    const other = createServer().listen(0, HOST)
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const role = await connectorsRole.build(world.context({ mqttPort: port }))
    const started: Service[] = []
    await assert.rejects(startServices(role.services, started), (error) => {
      assert.ok(error instanceof Failure)
      assert.equal(error.code, 'port_taken')
      assert.match(error.message, /--mqtt-port/)
      return true
    })
    await drainServices(started, DRAIN_MS, systemClock)
    other.close()
  })
})

const closed = (client: mqtt.MqttClient): Promise<void> =>
  new Promise((resolve) => {
    client.once('close', resolve)
  })

async function mosquitto(args: readonly string[]): Promise<void> {
  const { port } = new URL(world.mqttUrl)
  await promisify(execFile)('mosquitto_pub', ['-h', HOST, '-p', port, ...args])
}

const publishWithMosquitto = ({ username, secret }: Credential, payload: string) =>
  mosquitto(['-u', username, '-P', secret, '-q', '1', '-t', 't', '-m', payload])

async function createWorld() {
  const stack = await testStack()
  const { namespace } = stack
  const folder = mkdtempSync(join(tmpdir(), 'weir-connectors-'))
  const postgresUrl = new URL(stack.postgres.url)
  const server = postgres(stack.postgres.url)
  await server.query(`CREATE DATABASE ${namespace}`)
  postgresUrl.pathname = `/${namespace}`
  const database = postgres(postgresUrl.href)
  const migrations = join(packageRoot(), 'migrations/postgres')
  for (const file of readdirSync(migrations).toSorted()) {
    await database.query(readFileSync(join(migrations, file), 'utf8'))
  }
  await database.query(`INSERT INTO tenants (id, name) VALUES ('${TENANT}', 'Acme')`)
  const store = new DeviceStore(database, CREDENTIAL_KEY)
  const credentials = new CredentialStore(database, CREDENTIAL_KEY)

  const metrics = new Metrics({ role: 'test', processMetrics: false })
  const { brokers } = stack.kafka
  const parts = { clientId: 'test', logger: QUIET, metrics, clock: systemClock }
  const log = createKafkaLog({ brokers, ...parts })
  const admin = log.admin()
  await admin.ensureTopics(topicSpecs(namespace, PARTITIONS, 1))
  await admin.close()

  const context = (over: Partial<Context['options']> = {}): Context => ({
    options: {
      kafkaBrokers: brokers,
      topicPrefix: namespace,
      registryUrl: stack.registry.url,
      schemaIdsFile: join(folder, 'schema-ids.json'),
      postgresUrl: postgresUrl.href,
      credentialKey: CREDENTIAL_KEY,
      rawRetentionDays: 400,
      logRetentionDays: 7,
      mqttHost: HOST,
      mqttPort: 0,
      mqttConnectionsMax: 100,
      mqttInFlightMax: 20,
      mqttConnectTimeoutMs: 5000,
      mqttPacketBytesMax: 262_144,
      payloadBytesMax: 131_072,
      kafkaQueuedBytesMax: 1_048_576,
      kafkaLingerMs: 5,
      ...over,
    },
    logger: QUIET,
    metrics,
    clock: systemClock,
  })
  const role = await connectorsRole.build(context())
  const started: Service[] = []
  await startServices(role.services, started)
  const schemas = subjectSchemas(namespace)
  const file = join(folder, 'schema-ids.json')
  const { ids } = await startWithSchemas({ registryUrl: stack.registry.url, file, schemas })
  const telemetry = await readTopic(log, `${namespace}telemetry.v1`)
  const deadLetters = await readTopic(log, `${namespace}telemetry.v1.dlq`)
  const quarantine = await readTopic(log, `${namespace}telemetry.quarantine.v1`)
  const decoder = new TopicCodecs({ topicPrefix: namespace, ids }).decoder(TELEMETRY)

  return {
    mqttUrl: role.addresses()['mqtt'] ?? '',
    context,
    async newDevice(id: string, clockPolicy: ClockPolicy = 'reject'): Promise<Credential> {
      const created = await store.create(TENANT, { id, name: id, clockPolicy }, SYSTEM)
      assert.ok(created !== 'exists')
      return created
    },
    async rotate(device: string, overlapSeconds: number): Promise<string> {
      const to = { name: 'first', overlapSeconds }
      const rotated = await credentials.rotate(TENANT, device, to, SYSTEM)
      assert.equal(rotated.kind, 'shown')
      return rotated.secret
    },
    usesOf: async (device: string) =>
      (await credentials.list(TENANT, device)).map(({ lastUsedAtMs }) => lastUsedAtMs),
    setClockPolicy: (id: string, clockPolicy: ClockPolicy) =>
      store.update(TENANT, id, { clockPolicy }, { by: SYSTEM }),
    setState: (id: string, state: DeviceState) =>
      store.setState(TENANT, id, { state, reason: 'a test' }, { by: SYSTEM }),
    deleteDevice: (id: string) =>
      database.query('DELETE FROM devices WHERE tenant = $1 AND id = $2', [TENANT, id]),
    async telemetryOf(device: string, count: number) {
      const records = await telemetry.of(`${TENANT}/${device}`, count)
      return { telemetry: records.map((record) => decodeTelemetry(record, decoder)) }
    },
    async quarantinedOf(device: string, count: number): Promise<readonly Telemetry[]> {
      const records = await quarantine.of(`${TENANT}/${device}`, count)
      return records.map((record) => decodeTelemetry(record, decoder))
    },
    async deadLetterOf(device: string): Promise<LogRecord> {
      const [letter] = await deadLetters.of(`${TENANT}/${device}`, 1)
      assert.ok(letter)
      return letter
    },
    async end(): Promise<void> {
      await drainServices(started, DRAIN_MS, systemClock)
      await telemetry.consumer.drain(DRAIN_MS)
      await deadLetters.consumer.drain(DRAIN_MS)
      await quarantine.consumer.drain(DRAIN_MS)
      await database.drain(DRAIN_MS)
      await server.query(`DROP DATABASE ${namespace} WITH (FORCE)`)
      await server.drain(DRAIN_MS)
      rmSync(folder, { recursive: true })
    },
  }
}

const postgres = (url: string) => new Postgres({ url, applicationName: 'test', logger: QUIET })

function decodeTelemetry(record: LogRecord, decoder: AvroDecoder<Telemetry>): Telemetry {
  const decoded = decoder.decode(record.value ?? Buffer.alloc(0))
  assert.equal(decoded.kind, 'value')
  return decoded.value
}

/** Reads a topic from its start, and waits for records by key. */
async function readTopic(log: Log, topic: string) {
  const byKey = new Map<string, LogRecord[]>()
  let arrived: () => void = () => undefined
  const consumer: LogConsumer = log.consumer({
    name: 'test-reader',
    group: undefined,
    topics: [topic],
    handler: {
      assigned: async () => 0,
      revoked: () => undefined,
      async batch(batch) {
        batch.forEach((record) => {
          const key = String(record.key)
          const { offset, timestampMs, headers } = record
          const value = Buffer.from(record.value ?? [])
          const copy = { offset, timestampMs, key: null, value, headers: { ...headers } }
          byKey.set(key, [...(byKey.get(key) ?? []), copy])
        })
        arrived()
      },
    },
  })
  await consumer.start()
  return {
    consumer,
    async of(key: string, count: number): Promise<readonly LogRecord[]> {
      while ((byKey.get(key)?.length ?? 0) < count) {
        await new Promise<void>((resolve) => {
          arrived = resolve
        })
      }
      return byKey.get(key) ?? []
    },
  }
}
