/**
 * Kafka for faults: one or three KRaft nodes on loopback. Each kind of client has a listener of its
 * own behind a proxy of its own, so that one of them can be cut off while the others go on.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newClusterId } from '../../../local/kafka-cluster-id.ts'
import { rememberedPorts } from '../../../local/free-port.ts'
import { fetchKafka } from '../../../local/kafka-server.ts'
import { runProgram } from '../../../local/run-program.ts'
import { exchange } from '../../../local/tcp-exchange.ts'
import type { ChildSpec } from '../../../platform/lifecycle/child-spec.ts'
import { KafkaProxy, KafkaRules } from './kafka-proxy.ts'
import { Unit } from './unit.ts'

/** EDGE: connectors. RIVER: the pipeline. READER: the api and the judge, without a proxy. */
export type ListenerName = 'EDGE' | 'RIVER' | 'READER'
const PROXIED = ['EDGE', 'RIVER'] as const
const PORTS = [
  'controller',
  'internal',
  'reader',
  'edge',
  'edgeProxy',
  'river',
  'riverProxy',
] as const
type Ports = Readonly<Record<(typeof PORTS)[number], number>>

const HOST = '127.0.0.1'
const JAVA = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export type KafkaClusterOptions = Readonly<{
  folder: string
  serversDir: string
  brokers: 1 | 3
  /** Where a broker keeps its log instead of in `folder`; for disks that fill. */
  logFolderOf?: (broker: number) => string
}>

export class KafkaCluster {
  readonly brokers: readonly Unit[]
  readonly edge = new KafkaRules()
  readonly river = new KafkaRules()
  readonly ports: readonly Ports[]
  readonly #proxies: readonly KafkaProxy[]

  private constructor(brokers: readonly Unit[], ports: readonly Ports[]) {
    this.brokers = brokers
    this.ports = ports
    this.#proxies = ports.flatMap((own, index) =>
      PROXIED.map((name) => {
        const [brokerPort, port, rules] =
          name === 'EDGE'
            ? [own.edge, own.edgeProxy, this.edge]
            : [own.river, own.riverProxy, this.river]
        return new KafkaProxy({ broker: index + 1, port, brokerPort, rules })
      }),
    )
  }

  static async start(options: KafkaClusterOptions): Promise<KafkaCluster> {
    const { signal } = new AbortController()
    const home = await fetchKafka({ ...options, signal, onProgress: () => {} })
    mkdirSync(options.folder, { recursive: true })
    const ports: Ports[] = []
    for (let id = 1; id <= options.brokers; id++) {
      ports.push(await rememberedPorts(join(options.folder, `ports-${id}.json`), HOST, PORTS))
    }
    const clusterId = newClusterId()
    const brokers = await Promise.all(
      ports.map((_, index) => brokerUnit(index + 1, { ...options, home, ports, clusterId })),
    )
    const cluster = new KafkaCluster(brokers, ports)
    await Promise.all([
      ...brokers.map((broker) => broker.start()),
      ...cluster.#proxies.map((proxy) => proxy.start()),
    ])
    return cluster
  }

  /** What a client of this kind bootstraps from. */
  addresses(listener: ListenerName): readonly string[] {
    const port = { EDGE: 'edgeProxy', RIVER: 'riverProxy', READER: 'reader' } as const
    return this.ports.map((own) => `${HOST}:${own[port[listener]]}`)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()))
    await Promise.all(this.brokers.map((broker) => broker.killForGood()))
  }
}

type BrokerPlace = KafkaClusterOptions &
  Readonly<{ home: string; ports: readonly Ports[]; clusterId: string }>

async function brokerUnit(id: number, place: BrokerPlace): Promise<Unit> {
  const folder = join(place.folder, `broker-${id}`)
  mkdirSync(folder, { recursive: true })
  const properties = join(folder, 'server.properties')
  writeFileSync(properties, propertiesOf(id, place))
  const classPath = ['-cp', `${place.home}/*`]
  const tool = ['kafka.tools.StorageTool', 'format', '-t', place.clusterId, '-c', properties]
  await runProgram('java', ['-Xmx96m', ...JAVA, ...classPath, ...tool])
  const own = place.ports[id - 1]
  const spec: ChildSpec = {
    id: `kafka-${id}`,
    command: 'java',
    args: [
      '-Xms128m',
      '-Xmx320m',
      ...JAVA,
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      ...classPath,
      'kafka.Kafka',
      properties,
    ],
    restart: 'permanent',
    shutdownSignal: 'SIGTERM',
    shutdownMs: 15_000,
    logFile: join(folder, 'server.log'),
    readiness: { kind: 'probe', everyMs: 100, probe: () => serves(own?.reader ?? 0) },
    readyMs: 90_000,
  }
  return new Unit(spec)
}

function propertiesOf(id: number, place: BrokerPlace): string {
  const { ports, brokers } = place
  const own = ports[id - 1]
  if (own === undefined) throw new Error(`no ports for broker ${id}`)
  const replicas = brokers
  const insync = brokers === 3 ? 2 : 1
  const listeners = {
    EDGE: [own.edge, own.edgeProxy],
    RIVER: [own.river, own.riverProxy],
    READER: [own.reader, own.reader],
    INTERNAL: [own.internal, own.internal],
  } as const
  const clients = Object.entries(listeners)
  const binding = clients.map(([name, [port]]) => `${name}://${HOST}:${port}`)
  const advertised = clients.map(([name, [, port]]) => `${name}://${HOST}:${port}`)
  const security = [...clients.map(([name]) => name), 'CONTROLLER'].map((n) => `${n}:PLAINTEXT`)
  const voters = ports.map(({ controller }, index) => `${index + 1}@${HOST}:${controller}`)
  const lines: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: [...binding, `CONTROLLER://${HOST}:${own.controller}`].join(','),
    'advertised.listeners': advertised.join(','),
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map': security.join(','),
    'log.dirs': place.logFolderOf?.(id) ?? join(place.folder, `broker-${id}`, 'log'),
    'auto.create.topics.enable': 'false',
    'auto.leader.rebalance.enable': 'false',
    'min.insync.replicas': insync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': insync,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': insync,
    'group.initial.rebalance.delay.ms': 0,
    'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
    // A follower that was killed is out of the in-sync replicas soon, as the rounds are short.
    'replica.lag.time.max.ms': 5_000,
    'broker.session.timeout.ms': 4_000,
    'broker.heartbeat.interval.ms': 500,
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Metadata v4 for no topics: it serves once it lists itself. */
async function serves(port: number): Promise<boolean> {
  const request = Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 1, 0, 4]),
    Buffer.from('weir'),
    Buffer.from([0, 0, 0, 0, 0]),
  ])
  request.writeUInt32BE(request.length - 4, 0)
  const answer = await exchange({ host: HOST, port }, request)
  const brokersAt = 12
  return answer !== undefined && answer.length >= brokersAt + 4 && answer.readInt32BE(brokersAt) > 0
}
