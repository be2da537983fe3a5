/** `weir migrate` sets what is kept for how long, on real servers; the pipeline holds it to that. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { tableTtlDays } from '../platform/clickhouse/table-ttl.ts'
import { systemClock } from '../platform/clock.ts'
import { readOptions } from '../platform/config/read-options.ts'
import { setTopicConfig, topicConfig } from '../platform/kafka/kafkajs-topic-configs.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { createDatabases, weir } from '../test/system.ts'
import { testStack, type TestStack } from '../test/stack.ts'
import { migrate as migrateWith, MIGRATE_OPTIONS } from './migrate.ts'

const DAY_MS = 86_400_000

let stack: TestStack
let folder: string
let env: Record<string, string>
let clickhouse: Clickhouse
let dropDatabases: () => Promise<void>
before(async () => {
  stack = await testStack()
  folder = mkdtempSync(join(tmpdir(), 'weir-retention-'))
  const database = `${stack.namespace}retention`
  dropDatabases = await createDatabases(stack, database)
  const postgres = new URL(stack.postgres.url)
  postgres.pathname = `/${database}`
  env = {
    WEIR_KAFKA_BROKERS: stack.kafka.brokers.join(','),
    WEIR_TOPIC_PREFIX: stack.namespace,
    WEIR_TOPIC_PARTITIONS: '1',
    WEIR_TOPIC_REPLICAS: '1',
    WEIR_REGISTRY_URL: stack.registry.url,
    WEIR_SCHEMA_IDS_FILE: join(folder, 'schema-ids.json'),
    WEIR_CLICKHOUSE_URL: stack.clickhouse.url,
    WEIR_CLICKHOUSE_DATABASE: database,
    WEIR_POSTGRES_URL: postgres.toString(),
  }
  clickhouse = new Clickhouse({
    url: stack.clickhouse.url,
    database,
    user: 'default',
    password: '',
  })
})
after(async () => {
  await clickhouse.close()
  await dropDatabases()
  rmSync(folder, { recursive: true, force: true })
})

type Kept = Readonly<{ what: string; days: number; before: number | null }>

/** What a run of `weir migrate` says it changed. */
async function migrated(...args: readonly string[]): Promise<readonly Kept[]> {
  const answer = JSON.parse(await weir('migrate', env, ['--json', ...args]))
  return answer.retention
}

/** The same without a process of its own: starting one takes longer than its work. */
async function migrate(...argv: readonly string[]): Promise<readonly Kept[]> {
  const read = readOptions(MIGRATE_OPTIONS, { argv, env })
  assert.ok(read.kind === 'values')
  return (await migrateWith(read.values)).retention
}

const kafka = () => ({
  brokers: stack.kafka.brokers,
  clientId: 'test',
  logger: createLogger({ level: 'error', format: 'json', clock: systemClock, write: () => {} }),
})
const topic = () => `${stack.namespace}telemetry.v1`

async function kept(): Promise<Record<string, unknown>> {
  const days = await tableTtlDays(clickhouse)
  const config = await topicConfig(kafka(), topic())
  const tables = ['samples', 'message_numbers', 'rollup_10s', 'rollup_1m', 'rollup_1h', 'rollup_1d']
  return {
    tables: tables.map((table) => days.get(table)),
    log: [config.get('retention.ms'), config.get('segment.ms'), config.get('max.message.bytes')],
  }
}

const DEFAULTS = {
  tables: [400, 400, 90, 400, 1830, 3660],
  log: [String(7 * DAY_MS), String(DAY_MS), '2097152'],
}

describe('weir migrate', () => {
  it('leaves what is as the options say, however often it runs', async () => {
    assert.deepEqual(await migrated(), [])
    assert.deepEqual(await migrate(), [])
    assert.deepEqual(await kept(), DEFAULTS)
  })

  it('changes what differs, says so, and then there is nothing left to do', async () => {
    const args = [
      '--raw-retention-days=500',
      '--log-retention-days=3',
      '--rollup1m-retention-days=600',
      '--rollup10s-retention-days=5',
    ]
    // What is read from grows first and shrinks last.
    assert.deepEqual(await migrate(...args), [
      { what: 'rollup_1m', days: 600, before: 400 },
      { what: 'message_numbers', days: 500, before: 400 },
      { what: 'samples', days: 500, before: 400 },
      { what: topic(), days: 3, before: 7 },
      { what: 'rollup_10s', days: 5, before: 90 },
    ])
    assert.deepEqual(await kept(), {
      tables: [500, 500, 5, 600, 1830, 3660],
      log: [String(3 * DAY_MS), String(DAY_MS), '2097152'],
    })
    assert.deepEqual(await migrate(...args), [])
  })

  it('brings back what somebody changed on the servers, of the topic what is ours alone', async () => {
    await migrate()
    await clickhouse.command('ALTER TABLE samples REMOVE TTL')
    await setTopicConfig(kafka(), topic(), {
      'retention.ms': '-1',
      'segment.ms': String(2 * DAY_MS),
      'compression.type': 'zstd',
    })
    assert.deepEqual(await migrate(), [
      { what: topic(), days: 7, before: null },
      { what: `a segment of ${topic()}`, days: 1, before: 2 },
      { what: 'samples', days: 400, before: null },
    ])
    assert.deepEqual(await kept(), DEFAULTS)
    assert.equal((await topicConfig(kafka(), topic())).get('compression.type'), 'zstd')
  })

  const contradictions: readonly (readonly [string, RegExp])[] = [
    ['--rollup1m-retention-days=399', /--rollup1m-retention-days .* must not be less than/],
    ['--rollup1h-retention-days=399', /--rollup1h-retention-days .* must not be less than/],
    ['--log-retention-days=398', /rawRetentionDays must exceed logRetentionDays by at least 3/],
  ]
  it('refuses what contradicts itself, and touches nothing', async () => {
    const refusals = contradictions.map(([arg, sentence]) =>
      assert.rejects(migrated(arg), (error) => {
        assert.ok(error instanceof Error)
        assert.match(error.message, /ended with 2/, arg)
        assert.match(error.message, sentence)
        return true
      }),
    )
    await Promise.all(refusals)
    assert.deepEqual(await kept(), DEFAULTS)
  })
})

describe('weir pipeline', { concurrency: true }, () => {
  it('refuses to run where raw rows may be gone before it corrects from them', async () => {
    await assert.rejects(weir('pipeline', env, ['--raw-retention-days=401']), (error) => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /samples keeps its rows for 400 days, and --raw-retention-days/)
      return true
    })
  })

  it('refuses to run where the log may hand out older records than it expects', async () => {
    const call = weir('pipeline', env, ['--log-retention-days=6'])
    await assert.rejects(call, /up to 8 days .*--log-retention-days .* says 6/)
  })
})
