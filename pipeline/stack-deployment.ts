/**
 * A pipeline deployment of its own on real servers, for tests and measurements: topics, tables and
 * schemas under one namespace, a writer that plays the connectors, and the comparison of the
 * tables with brute force over the log as Kafka holds it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrateClickhouse } from '../migrations/migrate-clickhouse.ts'
import { systemClock } from '../platform/clock.ts'
import { Clickhouse, quoted } from '../platform/clickhouse/clickhouse.ts'
import { readOptions } from '../platform/config/read-options.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import type { LogRecord } from '../platform/kafka/log.ts'
import { ensureSchemas } from '../platform/kafka/schema-registry.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Metrics } from '../platform/observe/metrics.ts'
import { createAvroDecoder, createAvroEncoder } from '../schemas/avro-codec.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../schemas/telemetry.ts'
import { topicSpecs } from '../schemas/topic-specs.ts'
import { DEAD_LETTERS, deviceKey, partitionOf, ROLLUPS, subjectOf } from '../schemas/topics.ts'
import { type WindowUpdate, WINDOW_UPDATE_SCHEMA } from '../schemas/window-update.ts'
import { type TestStack, testStack } from '../test/stack.ts'
import { pipelineRole } from './main.ts'
import { PIPELINE_OPTIONS, type PipelineOptions } from './pipeline-options.ts'
import { bruteForce, type LoggedRecord, rollupKey } from './window/brute-force.ts'
import { parseCheckpoint } from './window/checkpoint.ts'

const ACCEPTED_AGE_MS = 391 * 86_400_000
const POLL_MS = 20

export type Deployment = Awaited<ReturnType<typeof deploy>>

export async function deploy(partitions: number, values: Readonly<Record<string, string>> = {}) {
  const stack = await testStack()
  const prefix = stack.namespace
  const database = `${prefix}db`
  const clickhouseOptions = { url: stack.clickhouse.url, database, user: 'default', password: '' }
  await migrateClickhouse(clickhouseOptions)
  const clickhouse = new Clickhouse(clickhouseOptions)
  const lines: string[] = []
  const quiet = createLogger({
    level: 'warn',
    format: 'json',
    clock: systemClock,
    write: (line) => lines.push(line),
  })
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
  const topic = `${prefix}telemetry.v1`
  const telemetryId = ids[subjectOf(topic)] ?? -1
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, telemetryId)
  const writer = log.writer({ name: 'test', queuedBytesMax: 1 << 28, lingerMs: 2 })
  await writer.start()
  const folder = mkdtempSync(join(tmpdir(), 'weir-pipeline-'))
  const argv = argumentsOf(stack, folder, {
    clickhouseDatabase: database,
    topicPrefix: prefix,
    ...values,
  })

  async function send(record: Telemetry): Promise<void> {
    const key = Buffer.from(deviceKey(record.tenant, record.device))
    await sendRaw(partitionOf(key, partitions), key, encoder.encode(record))
  }
  const sendRaw = (partition: number, key: Buffer | null, value: Buffer): Promise<void> =>
    writer.append(topic, partition, { key, value })

  /** The role's services, in this process. */
  async function start(metrics = new Metrics({ role: 'pipeline', processMetrics: false })) {
    const options = optionsFrom(argv)
    const context = { options, logger: quiet, metrics, clock: systemClock }
    const { services } = await pipelineRole.build(context)
    for (const service of services) await service.start()
    return {
      metrics,
      failure: Promise.race(services.map((service) => service.failure)),
      async stop() {
        for (const service of services.toReversed()) await service.drain(5_000)
      },
    }
  }

  /** Resolves when everything that is in the log by now is committed as processed. */
  async function settled(): Promise<void> {
    const ranges = await admin.offsetRange(topic)
    for (;;) {
      const committed = await admin.committed(`${prefix}rollup`, topic)
      const behind = [...ranges].filter(([partition, { end }]) => {
        const at = committed.get(partition)
        return (
          end > (at === undefined ? 0 : (parseCheckpoint(at.offset, at.metadata)?.position ?? 0))
        )
      })
      if (behind.length === 0) return
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  async function close(): Promise<void> {
    await writer.drain(2_000)
    await admin.close()
    await clickhouse.command(`DROP DATABASE ${quoted(database)}`)
    await clickhouse.close()
    rmSync(folder, { recursive: true, force: true })
  }

  async function logged(): Promise<LoggedRecord[]> {
    const decoder = createAvroDecoder<Telemetry>({
      schema: TELEMETRY_SCHEMA,
      writers: new Map([[telemetryId, TELEMETRY_SCHEMA]]),
      fetchSchema: async () => undefined,
    })
    const records = await readAll(topic)
    return records.flatMap(({ offset, timestampMs, value }) => {
      const decoded = value === null ? undefined : decoder.decode(value)
      if (decoded?.kind !== 'value') return []
      return [{ offset, appendMs: timestampMs, record: decoded.value }]
    })
  }

  const liveTopic = prefix + ROLLUPS.name
  const liveDecoder = createAvroDecoder<WindowUpdate>({
    schema: WINDOW_UPDATE_SCHEMA,
    writers: new Map([[ids[subjectOf(liveTopic)] ?? -1, WINDOW_UPDATE_SCHEMA]]),
    fetchSchema: async () => undefined,
  })

  function liveUpdateOf({ value }: LogRecord): WindowUpdate[] {
    const decoded = liveDecoder.decode(value ?? Buffer.alloc(0))
    return decoded.kind === 'value' ? [decoded.value] : []
  }

  const liveUpdates = async (): Promise<WindowUpdate[]> =>
    (await readAll(liveTopic)).flatMap(liveUpdateOf)

  /** Every record that is in the topic by now, partition by partition. */
  async function readAll(name: string): Promise<LogRecord[]> {
    const ends = await admin.offsetRange(name)
    const records: LogRecord[] = []
    const missing = new Set(
      [...ends].flatMap(([p, { end, earliest }]) => (end > earliest ? [p] : [])),
    )
    if (missing.size === 0) return records
    let finish: () => void = () => {}
    const done = new Promise<void>((resolve) => {
      finish = resolve
    })
    const byPartition = new Map<number, LogRecord[]>()
    const consumer = log.consumer({
      name: `${prefix}reader`,
      group: undefined,
      topics: [name],
      handler: {
        assigned: async () => 0,
        revoked: () => {},
        batch: async (batch) => {
          const list = byPartition.get(batch.partition) ?? []
          byPartition.set(batch.partition, list)
          batch.forEach((record) => list.push(copyOf(record)))
          if (batch.lastOffset + 1 >= (ends.get(batch.partition)?.end ?? 0))
            missing.delete(batch.partition)
          if (missing.size === 0) finish()
        },
      },
    })
    await consumer.start()
    await done
    await consumer.drain(2_000)
    return [...byPartition.values()].flat()
  }

  /** What differs between the tables and brute force over the log; empty when all is exact. */
  async function differences(): Promise<string[]> {
    const expected = bruteForce(await logged(), ACCEPTED_AGE_MS)
    return [
      ...(await sampleDifferences(clickhouse, expected)),
      ...(await rollupDifferences(clickhouse, expected)),
    ]
  }

  const deadLetters = () => readAll(prefix + DEAD_LETTERS.name)
  return {
    ...{
      stack,
      prefix,
      topic,
      argv,
      admin,
      clickhouse,
      log,
      encoder,
      lines,
      send,
      sendRaw,
      writer,
    },
    ...{ start, settled, close, logged, liveUpdates, liveUpdateOf, deadLetters, differences },
  }
}

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

const copyOf = (record: LogRecord): LogRecord => ({
  offset: record.offset,
  timestampMs: record.timestampMs,
  key: record.key === null ? null : Buffer.from(record.key),
  value: record.value === null ? null : Buffer.from(record.value),
  headers: Object.fromEntries(
    Object.entries(record.headers).map(([name, value]) => [name, Buffer.from(value)]),
  ),
})

type Expected = ReturnType<typeof bruteForce>
const NAME = `concat(s.tenant, '/', s.device, '/', s.metric, '/', s.kind)`
const NUMBERS = { settings: { output_format_json_quote_64bit_integers: 0 } }

async function sampleDifferences(clickhouse: Clickhouse, expected: Expected): Promise<string[]> {
  type Row = { name: string; t: number; value: number; text: string; off: number }
  const rows = await clickhouse.select<Row>(
    `SELECT ${NAME} AS name, toUnixTimestamp64Milli(r.ts) AS t, r.value AS value, r.text AS text, r.off AS off
     FROM (SELECT * FROM samples FINAL) AS r
     JOIN (SELECT * FROM series FINAL) AS s ON r.tenant = s.tenant AND r.series = s.series`,
    {},
    NUMBERS,
  )
  const stored = new Map(rows.map((r) => [`${r.name} ${r.t}`, [r.value, r.text, r.off]]))
  const wanted = new Map(
    [...expected.samples].flatMap(([name, times]) =>
      [...times.values()].map((s) => [`${name} ${s.tsMs}`, [s.value, s.text, s.offset]] as const),
    ),
  )
  return compared(stored, wanted)
}

async function rollupDifferences(clickhouse: Clickhouse, expected: Expected): Promise<string[]> {
  const stored = new Map<string, readonly unknown[]>()
  for (const [table, sizeMs] of [
    ['rollup_10s', 10_000],
    ['rollup_1m', 60_000],
  ] as const) {
    // prettier-ignore
    type Row = { name: string; start: number; fields: readonly unknown[] }
    const rows = await clickhouse.select<Row>(
      `SELECT ${NAME} AS name, toUnixTimestamp(r.w) * 1000 AS start, (r.cnt, r.sum, r.mn, r.mx, r.first, r.last,
         toUnixTimestamp64Milli(r.first_ts), toUnixTimestamp64Milli(r.last_ts), r.m2, r.integral, r.first_text, r.last_text) AS fields
       FROM (SELECT * FROM ${table} FINAL) AS r
       JOIN (SELECT * FROM series FINAL) AS s ON r.tenant = s.tenant AND r.series = s.series`,
      {},
      NUMBERS,
    )
    for (const { name, start, fields } of rows) stored.set(rollupKey(name, sizeMs, start), fields)
  }
  const wanted = new Map(
    [...expected.rollups].map(([key, a]) => [
      key,
      [
        ...[a.count, a.sum, a.min, a.max, a.first, a.last, a.firstTsMs, a.lastTsMs],
        ...[a.m2, a.integral, a.firstText, a.lastText],
      ],
    ]),
  )
  return compared(stored, wanted)
}

/** Bit for bit: JSON prints a double with all it takes to read the same one back. */
function compared(
  stored: ReadonlyMap<string, readonly unknown[]>,
  wanted: ReadonlyMap<string, readonly unknown[]>,
): string[] {
  const wrong: string[] = []
  for (const [key, value] of wanted) {
    const found = stored.get(key)
    if (JSON.stringify(found) !== JSON.stringify(value)) {
      wrong.push(`${key}: ${JSON.stringify(found)} not ${JSON.stringify(value)}`)
    }
  }
  for (const key of stored.keys()) if (!wanted.has(key)) wrong.push(`invented ${key}`)
  return wrong
}
