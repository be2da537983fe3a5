import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { systemClock } from '../platform/clock.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import { ensureSchemas } from '../platform/kafka/schema-registry.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Metrics } from '../platform/observe/metrics.ts'
import { packageRoot } from '../platform/package-root.ts'
import { Postgres } from '../platform/postgres/postgres.ts'
import { isAlive, stillRuns } from './process-identity.ts'
import type { StackAddresses } from './stack.ts'

const logger = createLogger({ level: 'error', format: 'json', clock: systemClock, write: () => {} })
const root = packageRoot(import.meta.dirname)
const serversDir = process.env['WEIR_SERVERS_DIR'] ?? join(root, '.weir', 'servers')
const SCHEMA = { type: 'record', name: 'R', fields: [{ name: 'n', type: 'long' }] }

describe('the local stack', () => {
  let stateDir = ''
  const programs: ChildProcess[] = []
  before(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'weir-stack-'))
    chmodSync(stateDir, 0o711) // As root, Postgres runs as another user.
  })
  after(async () => {
    for (const program of programs) if (program.exitCode === null) program.kill('SIGKILL')
    for (const { pid, started } of recorded(stateDir)) {
      if (stillRuns({ pid, started })) process.kill(pid, 'SIGKILL')
    }
    rmSync(stateDir, { recursive: true, force: true })
  })

  test('keeps what it was told through kill -9 of the servers and of their supervisor', async () => {
    const first = await startProgram(stateDir, programs)
    const stored = await store(first.addresses)
    const servers = recorded(stateDir)
    assert.deepEqual(
      servers.map(({ id }) => id),
      ['clickhouse', 'kafka', 'postgres', 'registry'],
    )

    // First the supervisor, or it would start them again; one server is left running.
    first.program.kill('SIGKILL')
    await once(first.program, 'exit')
    for (const { id, pid } of servers) if (id !== 'registry') process.kill(pid, 'SIGKILL')

    const second = await startProgram(stateDir, programs)
    assert.deepEqual(second.notes.filter(aboutEarlierRun), [
      'note: an earlier run left registry: ended',
    ])
    assert.deepEqual(second.addresses, first.addresses)
    assert.deepEqual(await read(second.addresses), stored)

    const running = recorded(stateDir)
    second.program.kill('SIGTERM')
    assert.deepEqual(await once(second.program, 'exit'), [0, null])
    assert.deepEqual(
      running.filter(({ pid }) => isAlive(pid)),
      [],
      'an orderly end leaves no process',
    )
    assert.deepEqual(recorded(stateDir), [])
  })
})

const aboutEarlierRun = (note: string): boolean => note.includes('earlier run')

async function startProgram(stateDir: string, programs: ChildProcess[]) {
  const file = join(import.meta.dirname, 'testing', 'stack.program.js')
  const program = spawn(process.execPath, [file, stateDir, serversDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  programs.push(program)
  const notes: string[] = []
  for await (const line of createInterface({ input: program.stdout })) {
    // The program prints its addresses in this shape and as its only JSON.
    if (line.startsWith('{')) {
      return { program, notes, addresses: JSON.parse(line) as StackAddresses }
    }
    notes.push(line)
  }
  throw new Error(`the stack did not start: ${notes.join('\n')}`)
}

function recorded(stateDir: string): { id: string; pid: number; started: string }[] {
  const runDir = join(stateDir, 'run')
  return readdirSync(runDir)
    .filter((name) => name.endsWith('.pid.json'))
    .toSorted()
    .map((name) => ({
      id: name.replace('.pid.json', ''),
      // Written by run-records.ts in this shape.
      ...(JSON.parse(readFileSync(join(runDir, name), 'utf8')) as { pid: number; started: string }),
    }))
}

/** Puts something into each server, and gives what read() must find. */
async function store(addresses: StackAddresses): Promise<unknown> {
  const { clickhouse, postgres, log, close } = connect(addresses)
  await clickhouse.command('CREATE DATABASE kept')
  await clickhouse.command('CREATE TABLE kept.rows (n UInt32) ENGINE = MergeTree ORDER BY n')
  await clickhouse.command(
    'INSERT INTO kept.rows VALUES (1), (2)',
    {},
    { settings: { async_insert: 0 } },
  )
  await postgres.query('CREATE TABLE kept AS SELECT 3 AS n')
  const admin = log.admin()
  await admin.ensureTopics([{ name: 'kept', partitions: 1, replicationFactor: 1, config: {} }])
  await admin.close()
  const writer = log.writer({ name: 'kept', queuedBytesMax: 1_000_000, lingerMs: 0 })
  await writer.start()
  await writer.append('kept', 0, { key: null, value: Buffer.from('4') })
  await writer.drain(5_000)
  await ensureSchemas(addresses.registry.url, [{ subject: 'kept-value', schema: SCHEMA }])
  await close()
  return read(addresses)
}

async function read(addresses: StackAddresses): Promise<unknown> {
  const { clickhouse, postgres, log, close } = connect(addresses)
  const admin = log.admin()
  const found = {
    clickhouse: await clickhouse.select('SELECT n FROM kept.rows ORDER BY n'),
    timezone: await clickhouse.select('SELECT timezone() AS zone'),
    postgres: await postgres.query('SELECT n FROM kept'),
    kafka: [...(await admin.offsetRange('kept'))],
    registry: await ensureSchemas(addresses.registry.url, [
      { subject: 'kept-value', schema: SCHEMA },
    ]),
  }
  await admin.close()
  await close()
  assert.deepEqual(found.clickhouse, [{ n: 1 }, { n: 2 }])
  assert.deepEqual(found.timezone, [{ zone: 'UTC' }])
  assert.deepEqual(found.postgres, [{ n: 3 }])
  assert.deepEqual(found.kafka, [[0, { earliest: 0, end: 1 }]])
  return found
}

function connect(addresses: StackAddresses) {
  const { url } = addresses.clickhouse
  const clickhouse = new Clickhouse({ url, database: 'default', user: 'default', password: '' })
  const postgres = new Postgres({ url: addresses.postgres.url, applicationName: 'test', logger })
  const log = createKafkaLog({
    brokers: addresses.kafka.brokers,
    clientId: 'test',
    logger,
    metrics: new Metrics({ role: 'test', processMetrics: false }),
    clock: systemClock,
  })
  const close = async (): Promise<void> => {
    await clickhouse.close()
    await postgres.drain(1_000)
  }
  return { clickhouse, postgres, log, close }
}
