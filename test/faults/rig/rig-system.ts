/**
 * The whole system under the rig's hands: servers of its own behind proxies, the real roles as
 * processes of their own, several pipelines if asked.
 *
 *   connectors ──EDGE proxy──▶ Kafka ──RIVER proxy──▶ pipelines ──ClickhouseProxy──▶ ClickHouse
 *   connectors, api ──gate──▶ Postgres      all ──gate──▶ registry      judge: without proxies
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateApiKey } from '../../../devices/access/api-key-store.ts'
import { clickhouseServer } from '../../../local/clickhouse-server.ts'
import { rememberedPorts } from '../../../local/free-port.ts'
import { type Stack, startStack } from '../../../local/stack.ts'
import { envName } from '../../../platform/config/option-names.ts'
import type { ChildSpec } from '../../../platform/lifecycle/child-spec.ts'
import type { TestStack } from '../../stack.ts'
import { createDatabases, weir } from '../../system.ts'
import { ClickhouseProxy } from './clickhouse-proxy.ts'
import { endedOnInterruption } from './endings.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import { TcpGate } from './tcp-gate.ts'
import { Unit } from './unit.ts'

export type RigOptions = Readonly<{
  folder: string
  serversDir: string
  brokers: 1 | 3
  /** Registry and Postgres to share; without them the rig starts its own. */
  shared?: Pick<TestStack, 'registry' | 'postgres'>
  /** Small disks, for faults that fill them. */
  clickhouseFolder?: string
  kafkaLogFolder?: string
  journalFolder?: string
}>

export type PipelineSetup = Readonly<{
  env?: Readonly<Record<string, string>>
  nodeFlags?: readonly string[]
  /** The compiled program, where it is not this build's. */
  program?: string
}>

const HOST = '127.0.0.1'
const PORTS = [
  'api',
  'mqtt',
  'clickhouse',
  'clickhouseTcp',
  'clickhouseProxy',
  'postgresGate',
  'registryGate',
] as const
type Ports = Readonly<Record<(typeof PORTS)[number], number>>
const TENANT = 'test'
const PARTITIONS = 4

export class RigSystem {
  readonly folder: string
  readonly database: string
  readonly namespace: string
  readonly kafka: KafkaCluster
  readonly clickhouse: Unit
  readonly clickhouseProxy: ClickhouseProxy
  readonly postgresGate: TcpGate
  readonly registryGate: TcpGate
  readonly connectors: Unit
  readonly api: Unit
  readonly pipelines: Unit[] = []
  readonly ports: Ports
  readonly stackFile: string
  readonly apiKey: string
  readonly registryUrl: string
  readonly #env: Readonly<Record<string, string>>
  readonly #stops: (() => Promise<unknown>)[]
  #pipelineCount = 0

  private constructor(parts: Parts) {
    this.folder = parts.options.folder
    this.database = parts.database
    this.namespace = parts.namespace
    this.kafka = parts.kafka
    this.clickhouse = parts.clickhouse
    this.clickhouseProxy = parts.clickhouseProxy
    this.postgresGate = parts.postgresGate
    this.registryGate = parts.registryGate
    this.ports = parts.ports
    this.apiKey = parts.apiKey
    this.registryUrl = parts.registryUrl
    this.#env = parts.env
    this.#stops = parts.stops
    const reader = { kafkaBrokers: parts.kafka.addresses('READER').join(',') }
    const direct = { clickhouseUrl: `http://${HOST}:${parts.ports.clickhouse}` }
    this.api = new Unit(this.#role('api', 'api', { ...reader, ...direct }, {}))
    const edge = { kafkaBrokers: parts.kafka.addresses('EDGE').join(',') }
    this.connectors = new Unit(this.#role('connectors', 'connectors', edge, {}))
    this.stackFile = join(this.folder, 'local.json')
  }

  static async start(options: RigOptions): Promise<RigSystem> {
    const stops: (() => Promise<unknown>)[] = []
    try {
      const system = new RigSystem(await startParts(options, stops))
      system.#describe()
      await system.api.start()
      await system.addPipeline()
      await system.connectors.start()
      return system
    } catch (error) {
      for (const stop of stops.toReversed()) await stop()
      throw error
    }
  }

  get apiUrl(): string {
    return `http://${HOST}:${this.ports.api}`
  }

  get mqttUrl(): string {
    return `mqtt://${HOST}:${this.ports.mqtt}`
  }

  /** Without a proxy. */
  get clickhousePlace(): Readonly<{ url: string; database: string }> {
    return { url: `http://${HOST}:${this.ports.clickhouse}`, database: this.database }
  }

  get pipeline(): Unit {
    const [first] = this.pipelines
    if (first === undefined) throw new Error('no pipeline runs')
    return first
  }

  async addPipeline(setup: PipelineSetup = {}): Promise<Unit> {
    this.#pipelineCount += 1
    const unit = new Unit(this.pipelineSpec(`pipeline-${this.#pipelineCount}`, setup))
    this.pipelines.push(unit)
    await unit.start()
    return unit
  }

  pipelineSpec(id: string, setup: PipelineSetup): ChildSpec {
    const own = {
      kafkaBrokers: this.kafka.addresses('RIVER').join(','),
      clickhouseUrl: `http://${HOST}:${this.ports.clickhouseProxy}`,
    }
    return this.#role(id, 'pipeline', own, setup)
  }

  async removePipeline(unit: Unit): Promise<void> {
    await unit.stop()
    this.pipelines.splice(this.pipelines.indexOf(unit), 1)
  }

  connectorSpec(setup: PipelineSetup): ChildSpec {
    const edge = { kafkaBrokers: this.kafka.addresses('EDGE').join(',') }
    return this.#role('connectors', 'connectors', edge, setup)
  }

  /** Runs a command of the binary against this system; rejects unless it exits 0. */
  weir(command: string, args: readonly string[]): Promise<string> {
    const reader = { kafkaBrokers: this.kafka.addresses('READER').join(',') }
    const direct = { clickhouseUrl: `http://${HOST}:${this.ports.clickhouse}` }
    return weir(command, { ...this.#env, ...asEnvironment({ ...reader, ...direct }) }, args)
  }

  /** Everything that a role has logged so far. */
  logOf(id: string): string {
    try {
      return readFileSync(join(this.folder, `${id}.log`), 'utf8')
    } catch {
      return ''
    }
  }

  async stop(): Promise<void> {
    const roles = [this.connectors, ...this.pipelines, this.api]
    await Promise.all(roles.map((unit) => unit.killForGood()))
    for (const stop of this.#stops.toReversed()) await stop()
  }

  #role(
    id: string,
    role: string,
    own: Readonly<Record<string, string>>,
    { env = {}, nodeFlags = [], program = weirProgram }: PipelineSetup,
  ): ChildSpec {
    return {
      id,
      command: process.execPath,
      args: ['--enable-source-maps', ...nodeFlags, program, role],
      env: { ...this.#env, ...asEnvironment(own), ...env },
      restart: 'permanent',
      shutdownSignal: 'SIGTERM',
      shutdownMs: 20_000,
      logFile: join(this.folder, `${id}.log`),
      readiness: { kind: 'ipc' },
      readyMs: 60_000,
    }
  }

  /** For the judge and for whoever looks at it from outside. */
  #describe(): void {
    const { clickhousePlace: clickhouse, apiUrl, mqttUrl, apiKey, namespace, registryUrl } = this
    const kafka = { brokers: this.kafka.addresses('READER'), topicPrefix: namespace }
    const api = { url: apiUrl, key: apiKey }
    const parts = { api, mqtt: { url: mqttUrl }, kafka, clickhouse, registry: { url: registryUrl } }
    writeFileSync(this.stackFile, JSON.stringify(parts))
  }
}

const weirProgram = join(import.meta.dirname, '..', '..', '..', 'cli', 'weir.js')

type Parts = Readonly<{
  options: RigOptions
  namespace: string
  database: string
  kafka: KafkaCluster
  clickhouse: Unit
  clickhouseProxy: ClickhouseProxy
  postgresGate: TcpGate
  registryGate: TcpGate
  ports: Ports
  apiKey: string
  registryUrl: string
  env: Readonly<Record<string, string>>
  stops: (() => Promise<unknown>)[]
}>

type Stops = (() => Promise<unknown>)[]

/** What is started is added to `stops` at once: a later failure ends it. */
async function startParts(options: RigOptions, stops: Stops): Promise<Parts> {
  const { folder } = options
  mkdirSync(folder, { recursive: true })
  const namespace = `f${randomBytes(4).toString('hex')}_`
  const database = `${namespace}weir`
  const ports = await rememberedPorts(join(folder, 'ports.json'), HOST, PORTS)
  const servers = await startServers(options, ports, stops)
  const doors = openDoors(servers, ports, stops)
  const stack = {
    kafka: { brokers: servers.kafka.addresses('READER') },
    registry: servers.registry,
    clickhouse: { url: `http://${HOST}:${ports.clickhouse}` },
    postgres: servers.postgres,
    namespace,
  }
  const dropDatabases = await createDatabases(stack, database)
  if (options.shared !== undefined) stops.push(dropDatabases)
  const env = environmentOf({ options, namespace, database, ports, servers })
  const apiKey = generateApiKey()
  const direct = {
    kafkaBrokers: stack.kafka.brokers.join(','),
    clickhouseUrl: stack.clickhouse.url,
  }
  await weir('migrate', { ...env, ...asEnvironment({ ...direct, apiKey }) })
  const registryUrl = servers.registry.url
  return {
    ...{ options, namespace, database, ports, apiKey, registryUrl, env, stops },
    ...servers,
    ...doors,
  }
}

type Servers = Readonly<{
  kafka: KafkaCluster
  clickhouse: Unit
  registry: Readonly<{ url: string }>
  postgres: Readonly<{ url: string }>
}>

async function startServers(options: RigOptions, ports: Ports, stops: Stops): Promise<Servers> {
  const { folder, serversDir, brokers, kafkaLogFolder } = options
  let { shared } = options
  if (shared === undefined) {
    const own = await startOwn(options)
    const ended = endedOnInterruption(() => own.stop())
    stops.push(() => own.stop().then(ended))
    shared = own
  }
  const kafka = await KafkaCluster.start({
    ...{ folder: join(folder, 'kafka'), serversDir, brokers },
    ...(kafkaLogFolder === undefined
      ? {}
      : { logFolderOf: (id) => join(kafkaLogFolder, `log-${id}`) }),
  })
  stops.push(() => kafka.stop())
  const clickhouse = await clickhouseUnit(options, ports)
  stops.push(() => clickhouse.killForGood())
  return { kafka, clickhouse, registry: shared.registry, postgres: shared.postgres }
}

function openDoors({ registry, postgres }: Servers, ports: Ports, stops: Stops) {
  const clickhouseProxy = new ClickhouseProxy({
    port: ports.clickhouseProxy,
    targetPort: ports.clickhouse,
  })
  const gate = (port: number, url: string) =>
    new TcpGate({ port, targetPort: Number(new URL(url).port) })
  const postgresGate = gate(ports.postgresGate, postgres.url)
  const registryGate = gate(ports.registryGate, registry.url)
  stops.push(() => Promise.all([clickhouseProxy.stop(), postgresGate.stop(), registryGate.stop()]))
  return { clickhouseProxy, postgresGate, registryGate }
}

/** Registry and Postgres behind their gates, and all names of this system. */
function environmentOf(
  about: Pick<Parts, 'options' | 'namespace' | 'database' | 'ports'> &
    Readonly<{ servers: Servers }>,
): Record<string, string> {
  const { options, namespace, database, ports, servers } = about
  const postgresUrl = new URL(servers.postgres.url)
  postgresUrl.port = String(ports.postgresGate)
  postgresUrl.pathname = `/${database}`
  const registryUrl = new URL(servers.registry.url)
  registryUrl.port = String(ports.registryGate)
  return asEnvironment({
    topicPrefix: namespace,
    topicPartitions: String(PARTITIONS),
    topicReplicas: String(options.brokers),
    registryUrl: registryUrl.toString(),
    schemaIdsFile: join(options.folder, 'schema-ids.json'),
    clickhouseDatabase: database,
    postgresUrl: postgresUrl.toString(),
    logLevel: 'info',
    logFormat: 'text',
    flushIntervalMs: '500',
    // Of a schema that nobody knows a round can wait for the end.
    schemaPatienceMs: '3000',
    journalFolder: options.journalFolder ?? join(options.folder, 'journal'),
    credentialKey: randomBytes(32).toString('hex'),
    apiHost: HOST,
    apiPort: String(ports.api),
    mqttHost: HOST,
    mqttPort: String(ports.mqtt),
    publicMqttUrl: `mqtt://${HOST}:${ports.mqtt}`,
    tenant: TENANT,
  })
}

async function clickhouseUnit(options: RigOptions, ports: Ports): Promise<Unit> {
  const spec = await clickhouseServer({
    dataDir: options.clickhouseFolder ?? join(options.folder, 'clickhouse'),
    serversDir: options.serversDir,
    logFile: join(options.folder, 'clickhouse.log'),
    host: HOST,
    port: ports.clickhouse,
    tcpPort: ports.clickhouseTcp,
    onProgress: () => {},
    signal: new AbortController().signal,
  })
  const unit = new Unit(spec)
  await unit.start()
  return unit
}

/** Registry and Postgres; Kafka and ClickHouse are the rig's, and their addresses not needed here. */
function startOwn({ folder, serversDir }: RigOptions): Promise<Stack> {
  return startStack({
    stateDir: join(folder, 'stack'),
    serversDir,
    host: HOST,
    postgresPassword: 'test',
    existing: { kafkaBrokers: ['127.0.0.1:1'], clickhouseUrl: 'http://127.0.0.1:1' },
    signal: new AbortController().signal,
    onProgress: () => {},
  })
}

const asEnvironment = (options: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [envName(name), value]))
