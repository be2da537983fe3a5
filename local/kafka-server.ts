/**
 * Apache Kafka on one node (KRaft: broker and controller in one process), from Maven Central.
 * One node means replication factor 1: its data survives kill -9, not the loss of the disk.
 */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newClusterId } from './kafka-cluster-id.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { downloadJars } from './maven-download.ts'
import { runProgram } from './run-program.ts'
import { probed, type ServerPlace, withProgress } from './server-place.ts'
import { exchange } from './tcp-exchange.ts'

const KAFKA_VERSION = '4.1.1'
const JARS = [`org.apache.kafka:kafka_2.13:${KAFKA_VERSION}`, 'org.slf4j:slf4j-simple:1.7.36']

export type KafkaPlace = ServerPlace & Readonly<{ controllerPort: number }>

/** Where its jars lie once they are fetched. */
export const kafkaHome = (serversDir: string): string => join(serversDir, `kafka-${KAFKA_VERSION}`)

/** Fetches the jars if they are not there; gives their folder. */
export async function fetchKafka(
  place: Pick<ServerPlace, 'serversDir' | 'onProgress' | 'signal'>,
): Promise<string> {
  const home = kafkaHome(place.serversDir)
  if (existsSync(home)) return home
  const what = `download Kafka ${KAFKA_VERSION} (43 MB)`
  await withProgress(place.onProgress, what, () => downloadJars(JARS, home, place.signal))
  return home
}

/** Fetches Kafka if it is not there, formats an empty data folder, and says how to run it. */
export async function kafkaServer(place: KafkaPlace): Promise<ChildSpec> {
  const home = await fetchKafka(place)
  await mkdir(place.dataDir, { recursive: true })
  const properties = join(place.dataDir, 'server.properties')
  await writeFile(properties, serverProperties(place))
  if (!existsSync(join(logFolder(place), 'meta.properties'))) {
    await withProgress(place.onProgress, 'format the Kafka log', () =>
      format(place, home, properties),
    )
  }
  return {
    id: 'kafka',
    command: 'java',
    args: [
      '-Xms192m',
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '-XX:+ExitOnOutOfMemoryError',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-cp',
      `${home}/*`,
      'kafka.Kafka',
      properties,
    ],
    restart: 'permanent',
    shutdownSignal: 'SIGTERM',
    shutdownMs: 15_000,
    logFile: place.logFile,
    readiness: probed(() => serves(place)),
    readyMs: 60_000,
  }
}

const logFolder = (place: KafkaPlace): string => join(place.dataDir, 'log')

/** An interrupted format leaves nothing behind: it works in a folder that is renamed at the end. */
async function format(place: KafkaPlace, home: string, properties: string): Promise<void> {
  const half = `${logFolder(place)}.half`
  await rm(half, { recursive: true, force: true })
  await rm(logFolder(place), { recursive: true, force: true })
  const halfProperties = `${properties}.half`
  await writeFile(halfProperties, serverProperties(place).replace(logFolder(place), half))
  const clusterId = newClusterId()
  await runProgram(
    'java',
    [
      '-Xmx128m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      `${home}/*`,
      'kafka.tools.StorageTool',
      'format',
      '--standalone',
      '-t',
      clusterId,
      '-c',
      halfProperties,
    ],
    { signal: place.signal },
  )
  await rm(halfProperties)
  await rename(half, logFolder(place))
}

function serverProperties(place: KafkaPlace): string {
  const lines: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${place.controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${place.host}:${place.port},CONTROLLER://127.0.0.1:${place.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${place.host}:${place.port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': logFolder(place),
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // A machine that slept longer than a week must not find its checkpoints gone.
    'offsets.retention.minutes': 60 * 24 * 30,
    // The cleaner's default buffer alone is 128 MiB.
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Metadata request v4 for no topics: the broker serves once it lists itself. */
async function serves(at: Readonly<{ host: string; port: number }>): Promise<boolean> {
  const request = Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 1, 0, 4]),
    Buffer.from('weir'),
    Buffer.from([0, 0, 0, 0, 0]),
  ])
  request.writeUInt32BE(request.length - 4, 0)
  const answer = await exchange(at, request)
  const brokersAt = 12
  return answer !== undefined && answer.length >= brokersAt + 4 && answer.readInt32BE(brokersAt) > 0
}
