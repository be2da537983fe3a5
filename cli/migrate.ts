/**
 * `weir migrate`: brings everything a deployment needs to its newest shape: tables in Postgres and
 * ClickHouse, topics in Kafka, schemas in the registry. It may be repeated and run by several
 * processes at once. With --tenant it also creates a tenant, and with --api-key its key.
 */
import { type RetentionDays, setRetention } from '../migrations/clickhouse-retention.ts'
import { migrateClickhouse } from '../migrations/migrate-clickhouse.ts'
import { migratePostgres, withMigrationLock } from '../migrations/migrate-postgres.ts'
import type { MigrationReport } from '../migrations/migration-files.ts'
import { bringTopicUpToDate, type SettingChange } from '../migrations/topic-settings.ts'
import { ApiKeyStore } from '../devices/access/api-key-store.ts'
import { systemClock } from '../platform/clock.ts'
import { helpText } from '../platform/config/help-text.ts'
import { spelledOut } from '../platform/config/option-names.ts'
import type { OptionTable, OptionValues } from '../platform/config/options.ts'
import { readOptions } from '../platform/config/read-options.ts'
import {
  CLICKHOUSE_OPTIONS,
  KAFKA_OPTIONS,
  POSTGRES_OPTIONS,
  RETENTION_OPTIONS,
  ROLLUP_RETENTION_OPTIONS,
} from '../platform/config/shared-options.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import { setTopicConfig } from '../platform/kafka/kafkajs-topic-configs.ts'
import { startWithSchemas } from '../platform/kafka/schema-registry.ts'
import type { Command } from '../platform/lifecycle/command.ts'
import { EXIT } from '../platform/lifecycle/exit-codes.ts'
import type { Logger } from '../platform/observe/logger.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Metrics } from '../platform/observe/metrics.ts'
import { Postgres } from '../platform/postgres/postgres.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import { DAY_MS, retentionContradictions } from '../schemas/telemetry.ts'
import { topicSpecs } from '../schemas/topic-specs.ts'
import { TELEMETRY, TOPICS } from '../schemas/topics.ts'

export const MIGRATE_OPTIONS = {
  ...KAFKA_OPTIONS,
  ...CLICKHOUSE_OPTIONS,
  ...POSTGRES_OPTIONS,
  ...RETENTION_OPTIONS,
  ...ROLLUP_RETENTION_OPTIONS,
  topicPartitions: {
    kind: 'integer',
    default: 12,
    min: 1,
    max: 10_000,
    doc: 'Partitions of each topic. Never changed later: a new count means a new topic version.',
  },
  topicReplicas: {
    kind: 'integer',
    default: 3,
    min: 1,
    max: 9,
    doc: 'Replicas of each partition. Fewer than 3 survive a crash, not the loss of a disk.',
  },
  tenant: { kind: 'text', default: '', doc: 'Create this tenant if it is not there.' },
  apiKey: {
    kind: 'text',
    default: '',
    secret: true,
    doc: 'Give the tenant this API key, in place of the one that an earlier run gave it.',
  },
  credentialKey: {
    kind: 'text',
    default: '',
    secret: true,
    doc: "The deployment's key under which secrets are hashed; needed with an API key.",
  },
  json: { kind: 'switch', default: false, doc: 'End with one JSON object on standard output.' },
} as const satisfies OptionTable

type MigrateValues = OptionValues<typeof MIGRATE_OPTIONS>
const SUMMARY = 'Create or upgrade tables, topics and schemas.'
/** Under this name a run replaces the key that an earlier run made. */
const API_KEY_NAME = 'migrate'

export const migrateCommand: Command = {
  name: 'migrate',
  summary: SUMMARY,
  async run(argv, env) {
    if (argv.includes('--help')) {
      process.stdout.write(
        helpText({ name: 'migrate', summary: SUMMARY, options: MIGRATE_OPTIONS }),
      )
      return EXIT.ok
    }
    const read = readOptions(MIGRATE_OPTIONS, { argv, env })
    const problems = read.kind === 'problems' ? read.problems : contradictions(read.values)
    for (const problem of problems) process.stderr.write(`weir migrate: ${problem}\n`)
    if (read.kind === 'problems' || problems.length > 0) return EXIT.usage
    const done = await migrate(read.values)
    if (read.values.json) process.stdout.write(`${JSON.stringify(done)}\n`)
    return EXIT.ok
  },
}

function contradictions(options: MigrateValues): readonly string[] {
  const { tenant, apiKey, credentialKey } = options
  const problems = [...retentionContradictions(options)]
  for (const name of ['rollup1mRetentionDays', 'rollup1hRetentionDays'] as const) {
    if (options[name] >= options.rawRetentionDays) continue
    problems.push(
      `${spelledOut(name)} must not be less than ${spelledOut('rawRetentionDays')}: a late sample corrects its hour and its day too, from the minutes and hours that are there.`,
    )
  }
  if (apiKey !== '' && (tenant === '' || credentialKey === '')) {
    problems.push(
      `${spelledOut('apiKey')} needs ${spelledOut('tenant')} and ${spelledOut('credentialKey')}.`,
    )
  }
  return problems
}

/**
 * Resolves with what was done. The parts do not depend on each other, except that ClickHouse waits
 * for the lock in Postgres.
 */
export async function migrate(options: MigrateValues) {
  const startedMs = systemClock.monotonicMs()
  const logger = createLogger({
    level: 'warn',
    format: process.stderr.isTTY ? 'text' : 'json',
    clock: systemClock,
    write: (line) => process.stderr.write(line),
  })
  const postgres = new Postgres({
    url: options.postgresUrl,
    applicationName: 'weir migrate',
    logger,
    connectionsMax: 3,
  })
  const log = createKafkaLog({
    brokers: options.kafkaBrokers,
    clientId: 'weir-migrate',
    logger,
    metrics: new Metrics({ role: 'migrate', processMetrics: false }),
    clock: systemClock,
  })
  const admin = log.admin()
  try {
    const work = [
      reported('Postgres and ClickHouse', () => migrateTables(options, postgres)),
      reported('Kafka topics', () => ensureTopics(options, admin)),
      reported('schemas', () => ensureSchemas(options)),
    ] as const
    // All of it, so that nothing is cut off half-way; then the first failure.
    await Promise.allSettled(work)
    const [tables, topics, ids] = await Promise.all(work)
    const topicSettings = await reported('topic settings', () =>
      withMigrationLock(postgres, () => ensureTopicSettings(options, logger)),
    )
    const retention = await reported('retention', () =>
      withMigrationLock(postgres, () => ensureRetention(options, logger)),
    )
    const tookMs = Math.round(systemClock.monotonicMs() - startedMs)
    return { ...tables, topics, schemaIds: ids, topicSettings, retention, tookMs }
  } finally {
    await admin.close()
    await postgres.drain(2_000)
  }
}

async function migrateTables(options: MigrateValues, postgres: Postgres) {
  const { tenant, apiKey, credentialKey } = options
  const inPostgres = await migratePostgres(postgres)
  const inClickhouse = await withMigrationLock(postgres, () =>
    migrateClickhouse(clickhouseOf(options)),
  )
  const store = new ApiKeyStore(postgres, credentialKey)
  if (tenant !== '') await store.ensureTenant(tenant, tenant)
  if (apiKey !== '') await store.ensureApiKey(tenant, API_KEY_NAME, apiKey)
  return {
    did: `Postgres ${describe(inPostgres)}, ClickHouse ${describe(inClickhouse)}`,
    result: { postgres: inPostgres, clickhouse: inClickhouse },
  }
}

type Admin = ReturnType<ReturnType<typeof createKafkaLog>['admin']>

async function ensureTopics(options: MigrateValues, admin: Admin) {
  const { topicPrefix, topicPartitions, topicReplicas } = options
  const specs = topicSpecs(topicPrefix, topicPartitions, topicReplicas)
  await admin.ensureTopics(specs)
  const names = specs.map(({ name }) => name)
  return { did: `Kafka has ${names.join(', ')}`, result: names }
}

/** Topics that an older release created; what an option decides is left to ensureRetention(). */
async function ensureTopicSettings(options: MigrateValues, logger: Logger) {
  const kafka = { brokers: options.kafkaBrokers, clientId: 'weir-migrate', logger }
  const changes: SettingChange[] = []
  for (const { name, config } of TOPICS) {
    const isTelemetry = name === TELEMETRY.name
    const byOption = (setting: string) =>
      isTelemetry && (setting === 'retention.ms' || setting === 'segment.ms')
    const ours = Object.entries(config).filter(([setting]) => !byOption(setting))
    const topic = options.topicPrefix + name
    changes.push(...(await bringTopicUpToDate(kafka, topic, Object.fromEntries(ours))))
  }
  const said = changes.map(
    ({ topic, name, value, before }) => `${topic} ${name} ${value} instead of ${before}`,
  )
  const did = said.length === 0 ? 'topics are as they should be' : `set ${said.join(', ')}`
  return { did, result: changes }
}

/** What is kept: something, for this many days; `before` is null where it was for ever. */
type Kept = Readonly<{ what: string; days: number; before: number | null }>

/** The raw rows of a record outlive it at every step: see acceptedAgeMs(). */
async function ensureRetention(options: MigrateValues, logger: Logger) {
  const tables = (direction: 'longer' | 'shorter') =>
    setRetention(clickhouseOf(options), daysOf(options), direction)
  const changes: Kept[] = []
  const note = (all: Awaited<ReturnType<typeof tables>>) => {
    for (const { table, days, before } of all) {
      changes.push({ what: table, days, before: Number.isFinite(before) ? before : null })
    }
  }
  note(await tables('longer'))
  changes.push(...(await ensureTopicRetention(options, logger)))
  note(await tables('shorter'))
  const said = changes.map(
    ({ what, days, before }) => `${what} ${days} days instead of ${before ?? 'for ever'}`,
  )
  const did = said.length === 0 ? 'retention is as it should be' : `keeps ${said.join(', ')}`
  return { did, result: changes }
}

async function ensureTopicRetention(
  { kafkaBrokers: brokers, topicPrefix, logRetentionDays }: MigrateValues,
  logger: Logger,
): Promise<readonly Kept[]> {
  const what = topicPrefix + TELEMETRY.name
  const kafka = { brokers, clientId: 'weir-migrate', logger }
  const segmentMs = Number(TELEMETRY.config['segment.ms'])
  const changed = await setTopicConfig(kafka, what, {
    'retention.ms': String(logRetentionDays * DAY_MS),
    'segment.ms': String(segmentMs),
  })
  const kept = (name: string, of: string, days: number): readonly Kept[] => {
    const beforeMs = changed.get(name)
    if (beforeMs === undefined) return []
    return [{ what: of, days, before: Number(beforeMs) < 0 ? null : Number(beforeMs) / DAY_MS }]
  }
  return [
    ...kept('retention.ms', what, logRetentionDays),
    ...kept('segment.ms', `a segment of ${what}`, segmentMs / DAY_MS),
  ]
}

const daysOf = (options: MigrateValues): RetentionDays => ({
  raw: options.rawRetentionDays,
  rollup10s: options.rollup10sRetentionDays,
  rollup1m: options.rollup1mRetentionDays,
  rollup1h: options.rollup1hRetentionDays,
  rollup1d: options.rollup1dRetentionDays,
})

const clickhouseOf = (options: MigrateValues) => ({
  url: options.clickhouseUrl,
  database: options.clickhouseDatabase,
  user: options.clickhouseUser,
  password: options.clickhousePassword,
})

async function ensureSchemas({ registryUrl, schemaIdsFile, topicPrefix }: MigrateValues) {
  const schemas = subjectSchemas(topicPrefix)
  const { ids, source } = await startWithSchemas({ registryUrl, file: schemaIdsFile, schemas })
  const did = `schema ids ${Object.values(ids).join(', ')} from the ${source}, kept in ${schemaIdsFile}`
  return { did, result: ids }
}

const describe = ({ applied, before }: MigrationReport): string =>
  applied.length === 0 ? `is up to date (${before})` : `applied ${applied.join(', ')}`

/** Prints what was done; on standard error, because standard output is for --json. */
async function reported<T>(
  what: string,
  work: () => Promise<Readonly<{ did: string; result: T }>>,
): Promise<T> {
  const startedMs = systemClock.monotonicMs()
  try {
    const { did, result } = await work()
    const tookMs = Math.round(systemClock.monotonicMs() - startedMs)
    process.stderr.write(`weir migrate: ${did} (${tookMs} ms)\n`)
    return result
  } catch (error) {
    process.stderr.write(`weir migrate: ${what} failed\n`)
    throw error
  }
}
