/**
 * Topics, consumer group and tables of a bench's own on the servers of a stack, so that nothing
 * else is in them: made by `weir migrate`, the tables dropped afterwards.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envName } from '../../platform/config/option-names.ts'
import { TELEMETRY } from '../../schemas/topics.ts'
import { startWeir } from '../child-program.ts'
import { type ClickHousePlace, queryRows } from '../clickhouse-query.ts'
import { type StackFile, partOf } from '../stack-file.ts'

export type BenchSpace = Readonly<{
  brokers: readonly string[]
  registryUrl: string
  topicPrefix: string
  /** The telemetry topic. */
  topic: string
  /** The pipeline's consumer group. */
  group: string
  clickhouse: ClickHousePlace
  /** For scratch files; removed afterwards. */
  folder: string
  /** For a role or command of ours, with these option values on top. */
  envOf(options?: Readonly<Record<string, string>>): NodeJS.ProcessEnv
}>

export type SpaceOptions = Readonly<{ env: Readonly<NodeJS.ProcessEnv>; partitions: number }>

export async function withBenchSpace<T>(
  stack: StackFile,
  { env, partitions }: SpaceOptions,
  work: (space: BenchSpace) => Promise<T>,
): Promise<T> {
  const name = `bench${randomBytes(3).toString('hex')}`
  const { url } = partOf(stack, 'clickhouse')
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const { brokers } = partOf(stack, 'kafka')
  const registryUrl = partOf(stack, 'registry').url
  const topicPrefix = `${name}_`
  const values = {
    kafkaBrokers: brokers.join(','),
    topicPrefix,
    topicPartitions: String(partitions),
    topicReplicas: '1',
    registryUrl,
    schemaIdsFile: join(folder, 'schema-ids.json'),
    clickhouseUrl: url,
    clickhouseDatabase: name,
    postgresUrl: partOf(stack, 'postgres').url,
    logLevel: 'warn',
  }
  const space: BenchSpace = {
    ...{ brokers, registryUrl, topicPrefix, folder },
    topic: `${topicPrefix}${TELEMETRY.name}`,
    group: `${topicPrefix}rollup`,
    clickhouse: { url, database: name },
    envOf: (options = {}) => ({ ...env, ...asEnvironment({ ...values, ...options }) }),
  }
  try {
    await startWeir(['migrate'], space.envOf()).ended
    return await work(space)
  } finally {
    await dropTables(space, name)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The same topics with other tables, for whoever must not find the first one's rows. */
export async function withOtherTables<T>(
  space: BenchSpace,
  suffix: string,
  work: (space: BenchSpace) => Promise<T>,
): Promise<T> {
  const name = `${space.clickhouse.database}_${suffix}`
  const envOf: BenchSpace['envOf'] = (options) =>
    space.envOf({ clickhouseDatabase: name, ...options })
  const other = { ...space, clickhouse: { ...space.clickhouse, database: name }, envOf }
  try {
    await startWeir(['migrate'], envOf()).ended
    return await work(other)
  } finally {
    await dropTables(other, name)
  }
}

async function dropTables({ clickhouse }: BenchSpace, name: string): Promise<void> {
  const sql = `DROP DATABASE IF EXISTS ${name}`
  await queryRows({ ...clickhouse, database: 'default' }, { sql })
}

const asEnvironment = (options: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(options).map(([key, value]) => [envName(key), value]))
