/**
 * A pipeline deployment of its own on real servers, for tests and measurements: topics, tables and
 * schemas under one namespace, a writer that plays the connectors, and the comparison of the
 * tables with brute force over the log as Kafka holds it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrateClickhouse } from '../../migrations/migrate-clickhouse.ts'
import { systemClock } from '../../platform/clock.ts'
import { Clickhouse, quoted } from '../../platform/clickhouse/clickhouse.ts'
import { readOptions } from '../../platform/config/read-options.ts'
import { createKafkaLog } from '../../platform/kafka/kafkajs-log.ts'
import type { Log, LogAdmin, LogRecord, LogWriter } from '../../platform/kafka/log.ts'
import { ensureSchemas, type SchemaIds } from '../../platform/kafka/schema-registry.ts'
import { createLogger } from '../../platform/observe/json-logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import type { AvroDecoder, AvroEncoder } from '../../schemas/avro-codec.ts'
import { subjectSchemas } from '../../schemas/registered-schemas.ts'
import type { Telemetry } from '../../schemas/telemetry.ts'
import { TopicCodecs } from '../../schemas/topic-codecs.ts'
import { topicSpecs } from '../../schemas/topic-specs.ts'
import { DEAD_LETTERS, deviceKey, partitionOf, ROLLUPS, TELEMETRY } from '../../schemas/topics.ts'
import type { WindowUpdate } from '../../schemas/window-update.ts'
import { readTopic } from '../../test/read-topic.ts'
import { type TestStack, testStack } from '../../test/stack.ts'
import { pipelineRole } from '../main.ts'
import { PIPELINE_OPTIONS, type PipelineOptions } from '../pipeline-options.ts'
import { tableDifferences } from './table-differences.ts'
import { bruteForce, type LoggedRecord } from './brute-force.ts'
import { parseCheckpoint } from '../window/checkpoint.ts'

const ACCEPTED_AGE_MS = 391 * 86_400_000
const POLL_MS = 20
const quiet = createLogger({ level: 'warn', format: 'json', clock: systemClock, write: () => {} })

/** Option values of the role by name, in front of its defaults. */
export async function deploy(
  partitions: number,
  values: Readonly<Record<string, string>> = {},
): Promise<Deployment> {
  const stack = await testStack()
  const prefix = stack.namespace
  const database = `${prefix}db`
  await migrateClickhouse(clickhouseOptions(stack, database))
  const log = createKafkaLog({
    brokers: stack.kafka.brokers,
    clientId: `${prefix}test`,
    logger: quiet,
    metrics: new Metrics({ role: 'test', processMetrics: false }),
    clock: systemClock,
  })
  const admin = log.admin()
  await admin.ensureTopics(topicSpecs(prefix, partitions, 1))
  const ids = await ensureSchemas(stack.registry.url, subjectSchemas(prefix))
  const writer = log.writer({ name: 'test', queuedBytesMax: 1 << 28, lingerMs: 2 })
  await writer.start()
  return new Deployment({ stack, database, log, admin, writer, ids, partitions, values })
}

type Parts = Readonly<{
  stack: TestStack
  database: string
  log: Log
  admin: LogAdmin
  writer: LogWriter
  ids: SchemaIds
  partitions: number
  values: Readonly<Record<string, string>>
}>

export class Deployment {
  readonly prefix: string
  readonly topic: string
  /** Arguments of the pipeline command. */
  readonly argv: readonly string[]
  readonly log: Log
  readonly clickhouse: Clickhouse
  readonly encoder: AvroEncoder<Telemetry>
  readonly #parts: Parts
  readonly #folder = mkdtempSync(join(tmpdir(), 'weir-pipeline-'))
  readonly #decoder: AvroDecoder<Telemetry>
  readonly #liveDecoder: AvroDecoder<WindowUpdate>

  constructor(parts: Parts) {
    const { stack, database, ids, values } = parts
    this.#parts = parts
    this.log = parts.log
    this.prefix = stack.namespace
    this.topic = this.prefix + TELEMETRY.name
    this.clickhouse = new Clickhouse(clickhouseOptions(stack, database))
    const codecs = new TopicCodecs({ topicPrefix: this.prefix, ids })
    this.encoder = codecs.encoder(TELEMETRY)
    this.#decoder = codecs.decoder(TELEMETRY)
    this.#liveDecoder = codecs.decoder(ROLLUPS)
    const own = { clickhouseDatabase: database, topicPrefix: this.prefix, ...values }
    this.argv = argumentsOf(stack, this.#folder, own)
  }

  /** Appends a record as a connector does. */
  send(record: Telemetry): Promise<void> {
    const key = Buffer.from(deviceKey(record.tenant, record.device))
    const partition = partitionOf(key, this.#parts.partitions)
    return this.sendRaw(partition, key, this.encoder.encode(record))
  }

  sendRaw(partition: number, key: Buffer | null, value: Buffer): Promise<void> {
    return this.#parts.writer.append(this.topic, partition, { key, value })
  }

  /** Runs the role's services in this process. */
  async start() {
    const metrics = new Metrics({ role: 'pipeline', processMetrics: false })
    const options = optionsFrom(this.argv)
    const context = { options, logger: quiet, metrics, clock: systemClock }
    const { services } = await pipelineRole.build(context)
    for (const service of services) await service.start()
    const failure = Promise.race(services.map((service) => service.failure))
    const stop = async (): Promise<void> => {
      for (const service of services.toReversed()) await service.drain(5_000)
    }
    const notReady = (): string[] => services.flatMap((service) => service.notReady?.() ?? [])
    return { metrics, failure, stop, notReady }
  }

  /** Resolves when everything that is in the log by now is committed as processed. */
  async settled(): Promise<void> {
    const { admin } = this.#parts
    const ranges = await admin.offsetRange(this.topic)
    for (;;) {
      const committed = await admin.committed(`${this.prefix}rollup`, this.topic)
      const isBehind = ([partition, { end }]: [number, { end: number }]): boolean => {
        const { offset, metadata } = committed.get(partition) ?? { offset: 0, metadata: '' }
        return end > (parseCheckpoint(offset, metadata)?.position ?? 0)
      }
      if (![...ranges].some(isBehind)) return
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  /** The telemetry log as Kafka holds it, partition by partition. */
  async logged(): Promise<LoggedRecord[]> {
    const records = await readTopic(this.log, this.topic)
    return records.map(({ offset, timestampMs, value }) => {
      const decoded = this.#decoder.decode(value ?? Buffer.alloc(0))
      const record = decoded.kind === 'value' ? decoded.value : undefined
      return { offset, appendMs: timestampMs, record }
    })
  }

  deadLetters(): Promise<LogRecord[]> {
    return readTopic(this.log, this.prefix + DEAD_LETTERS.name)
  }

  async liveUpdates(): Promise<WindowUpdate[]> {
    const records = await readTopic(this.log, this.prefix + ROLLUPS.name)
    return records.flatMap((record) => this.liveUpdateOf(record))
  }

  liveUpdateOf({ value }: LogRecord): WindowUpdate[] {
    const decoded = this.#liveDecoder.decode(value ?? Buffer.alloc(0))
    return decoded.kind === 'value' ? [decoded.value] : []
  }

  /** What differs between the tables and brute force over the log; empty when all is exact. */
  async differences(log?: readonly LoggedRecord[]): Promise<string[]> {
    const records = log ?? (await this.logged())
    return tableDifferences(this.clickhouse, bruteForce(records, ACCEPTED_AGE_MS))
  }

  async close(): Promise<void> {
    await this.#parts.writer.drain(2_000)
    await this.#parts.admin.close()
    await this.clickhouse.command(`DROP DATABASE ${quoted(this.#parts.database)}`)
    await this.clickhouse.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const clickhouseOptions = (stack: TestStack, database: string) => ({
  url: stack.clickhouse.url,
  database,
  user: 'default',
  password: '',
})

function argumentsOf(stack: TestStack, folder: string, values: Readonly<Record<string, string>>) {
  const all = {
    kafkaBrokers: stack.kafka.brokers.join(','),
    registryUrl: stack.registry.url,
    schemaIdsFile: join(folder, 'schema-ids.json'),
    clickhouseUrl: stack.clickhouse.url,
    ...values,
  }
  return Object.entries(all).flatMap(([name, value]) => [
    `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    value,
  ])
}

function optionsFrom(argv: readonly string[]): PipelineOptions {
  const read = readOptions(PIPELINE_OPTIONS, { argv, env: {} })
  if (read.kind === 'problems') throw new Error(read.problems.join('\n'))
  return read.values
}
