/**
 * The whole system for a test: the real roles as supervised child processes, against real servers,
 * with ports and names of their own. Everything it made is gone after stop().
 *
 *   const system = await startSystem()
 *   …use system.apiUrl, system.apiKey, system.mqttUrl, or a program with --stack system.stackFile…
 *   await system.stop()
 */
import { randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateApiKey } from '../devices/access/api-key-store.ts'
import { rememberedPorts } from '../local/free-port.ts'
import { systemClock } from '../platform/clock.ts'
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { envName } from '../platform/config/option-names.ts'
import { executeMembershipWill } from '../platform/kafka/leave-group.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import type { ChildEvent } from '../platform/lifecycle/supervised-child.ts'
import { Supervisor } from '../platform/lifecycle/supervisor.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Postgres } from '../platform/postgres/postgres.ts'
import { type TestStack, testStack } from './stack.ts'

export type SystemRole = 'connectors' | 'pipeline' | 'api'

export type SystemOptions = Readonly<{
  /** Servers to use; by default those that the test run shares. */
  stack?: TestStack
  /** Option values for the roles, by option name, such as { flushIntervalMs: '200' }. */
  options?: Readonly<Record<string, string>>
}>

export type System = Readonly<{
  stack: TestStack
  tenant: string
  apiUrl: string
  apiKey: string
  /** mqtt://127.0.0.1:port, the same after every restart. */
  mqttUrl: string
  /** ClickHouse database with this system's tables. */
  clickhouseDatabase: string
  /** A description like .weir/local.json, for programs that take --stack. */
  stackFile: string
  pidOf(role: SystemRole): number | undefined
  /** SIGKILL. Resolves when the supervisor has made it ready again. */
  kill(role: SystemRole): Promise<void>
  /** SIGTERM, and ready again. */
  restart(role: SystemRole): Promise<void>
  /** The end of a role's log, for the message of a failed test. */
  logOf(role: SystemRole): string
  stop(): Promise<void>
}>

const TENANT = 'test'
const HOST = '127.0.0.1'
/** Right bank first, so that nothing is produced before somebody counts it. */
const ROLES: readonly SystemRole[] = ['api', 'pipeline', 'connectors']
const ADMINS = ['connectorsAdmin', 'pipelineAdmin', 'apiAdmin'] as const
const READY_MS = 60_000
const LOG_CHARS = 4000

export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const stack = options.stack ?? (await testStack())
  const folder = mkdtempSync(join(tmpdir(), 'weir-system-'))
  const database = `${stack.namespace}weir`
  const ports = await rememberedPorts(join(folder, 'ports.json'), HOST, ['api', 'mqtt', ...ADMINS])
  const dropDatabases = await createDatabases(stack, database)
  const env = asEnvironment({
    ...serverOptions(stack, { folder, database }),
    credentialKey: randomBytes(32).toString('hex'),
    apiHost: HOST,
    apiPort: String(ports.api),
    mqttHost: HOST,
    mqttPort: String(ports.mqtt),
    publicMqttUrl: `mqtt://${HOST}:${ports.mqtt}`,
    ...options.options,
  })
  const apiKey = generateApiKey()
  await weir('migrate', { ...env, ...asEnvironment({ tenant: TENANT, apiKey }) })

  const roles = new SupervisedRoles(folder, env, (role) => ports[`${role}Admin`])
  const stop = async (): Promise<void> => {
    await roles.stop()
    await dropDatabases()
    rmSync(folder, { recursive: true, force: true })
  }
  await roles.start().catch(async (error: unknown) => {
    const logs = ROLES.map((role) => `--- ${role}\n${roles.logOf(role)}`).join('\n')
    await stop()
    throw new Error(`the system did not start: ${String(error)}\n${logs}`, { cause: error })
  })
  const apiUrl = `http://${HOST}:${ports.api}`
  const mqttUrl = `mqtt://${HOST}:${ports.mqtt}`
  const stackFile = join(folder, 'local.json')
  const admin = ROLES.map((role) => [role, `http://${HOST}:${ports[`${role}Admin`]}`])
  writeFileSync(
    stackFile,
    JSON.stringify({
      api: { url: apiUrl, key: apiKey },
      mqtt: { url: mqttUrl },
      kafka: { ...stack.kafka, topicPrefix: stack.namespace },
      registry: stack.registry,
      clickhouse: { ...stack.clickhouse, database },
      postgres: { url: databaseUrl(stack.postgres.url, database) },
      admin: Object.fromEntries(admin),
    }),
  )
  return {
    stack,
    tenant: TENANT,
    apiUrl,
    apiKey,
    mqttUrl,
    clickhouseDatabase: database,
    stackFile,
    pidOf: (role) => roles.pidOf(role),
    kill: (role) => roles.end(role, 'SIGKILL'),
    restart: (role) => roles.end(role, 'SIGTERM'),
    logOf: (role) => roles.logOf(role),
    stop,
  }
}

/** Where the servers are, and the names on them that are this system's own. */
function serverOptions(
  stack: TestStack,
  { folder, database }: Readonly<{ folder: string; database: string }>,
): Record<string, string> {
  return {
    kafkaBrokers: stack.kafka.brokers.join(','),
    topicPrefix: stack.namespace,
    topicPartitions: '4',
    topicReplicas: '1',
    registryUrl: stack.registry.url,
    schemaIdsFile: join(folder, 'schema-ids.json'),
    clickhouseUrl: stack.clickhouse.url,
    clickhouseDatabase: database,
    postgresUrl: databaseUrl(stack.postgres.url, database),
    logLevel: 'info',
    logFormat: 'text',
  }
}

/** Runs a command of the compiled `weir` to its end. Rejects with its output unless it exits 0. */
export function weir(
  command: string,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...weirArguments(command), ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`weir ${command} ended with ${code}:\n${stdout}\n${stderr}`))
    })
  })
}

class SupervisedRoles {
  readonly #folder: string
  readonly #supervisor: Supervisor
  readonly #waiting: { role: string; ready: () => void }[] = []

  constructor(
    folder: string,
    env: Readonly<Record<string, string>>,
    adminPort: (role: SystemRole) => number,
  ) {
    this.#folder = folder
    this.#supervisor = new Supervisor({
      children: ROLES.map((role) => {
        const own = asEnvironment({ adminPort: String(adminPort(role)) })
        return roleSpec(role, { ...env, ...own }, this.#logFile(role))
      }),
      clock: systemClock,
      onEvent: (event) => this.#noticed(event),
      executeWill: executeMembershipWill,
    })
  }

  start(): Promise<void> {
    return this.#supervisor.start()
  }

  async stop(): Promise<void> {
    await this.#supervisor.drain(20_000)
  }

  pidOf(role: SystemRole): number | undefined {
    return this.#supervisor.status().find(({ id }) => id === role)?.pid
  }

  end(role: SystemRole, signal: NodeJS.Signals): Promise<void> {
    const pid = this.pidOf(role)
    if (pid === undefined) throw new Error(`${role} does not run`)
    const again = new Promise<void>((ready) => this.#waiting.push({ role, ready }))
    process.kill(pid, signal)
    return Promise.race([again, this.#supervisor.failure])
  }

  logOf(role: SystemRole): string {
    try {
      return readFileSync(this.#logFile(role), 'utf8').slice(-LOG_CHARS)
    } catch {
      return ''
    }
  }

  #logFile(role: SystemRole): string {
    return join(this.#folder, `${role}.log`)
  }

  #noticed(event: ChildEvent): void {
    if (event.kind !== 'ready') return
    for (const { role, ready } of this.#waiting.splice(0)) {
      if (role === event.id) ready()
      else this.#waiting.push({ role, ready })
    }
  }
}

function roleSpec(
  role: SystemRole,
  env: Readonly<Record<string, string>>,
  logFile: string,
): ChildSpec {
  return {
    id: role,
    command: process.execPath,
    args: weirArguments(role),
    env,
    restart: 'permanent',
    shutdownSignal: 'SIGTERM',
    shutdownMs: 15_000,
    logFile,
    readiness: { kind: 'ipc' },
    readyMs: READY_MS,
  }
}

const weirArguments = (command: string): string[] => [
  '--enable-source-maps',
  join(import.meta.dirname, '..', 'cli', 'weir.js'),
  command,
]

const asEnvironment = (options: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [envName(name), value]))

function databaseUrl(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.toString()
}

/** Gives what drops them again. */
export async function createDatabases(
  stack: TestStack,
  database: string,
): Promise<() => Promise<void>> {
  const onServers = async (sql: string, postgresSql: string): Promise<void> => {
    const clickhouse = new Clickhouse({
      url: stack.clickhouse.url,
      database: 'default',
      user: 'default',
      password: '',
    })
    const postgres = postgresOf(stack.postgres.url)
    try {
      await clickhouse.command(sql)
      await postgres.query(postgresSql)
    } finally {
      await clickhouse.close()
      await postgres.drain(1000)
    }
  }
  await onServers(`CREATE DATABASE ${database}`, `CREATE DATABASE ${database}`)
  return () =>
    onServers(
      `DROP DATABASE IF EXISTS ${database}`,
      `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`,
    )
}

const postgresOf = (url: string): Postgres =>
  new Postgres({ url, applicationName: 'weir-test', logger: quietLogger() })

const quietLogger = () =>
  createLogger({
    level: 'error',
    format: 'text',
    clock: systemClock,
    write: (line) => process.stderr.write(line),
  })
