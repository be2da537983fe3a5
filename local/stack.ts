/**
 * The four servers of a Weir deployment on one machine, nothing installed by hand: Kafka, schema
 * registry, Postgres, ClickHouse as supervised child processes. They start side by side, keep
 * their data in one folder, and survive being killed.
 *
 *   <stateDir>/data/<server>   what a server keeps          <stateDir>/logs   what it prints
 *   <stateDir>/run             process records, the lock    <stateDir>/ports.json
 */
import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { ChildRunner } from './child-runner.ts'
import { clickhouseServer } from './clickhouse-server.ts'
import { rememberedPorts } from './free-port.ts'
import { kafkaServer } from './kafka-server.ts'
import { POSTGRES_USER, postgresServer } from './postgres-server.ts'
import { registryServer, registryUrlOf } from './registry-server.ts'
import { endLeftovers, forgetProcesses, recordProcess } from './run-records.ts'
import { type Progress, type ServerPlace, withProgress } from './server-place.ts'
import { reachableByOthers, unprivilegedUser } from './unix-user.ts'

/** Servers that run already; those are used and not started. */
export type ExistingServers = Readonly<{
  kafkaBrokers?: readonly string[]
  registryUrl?: string
  clickhouseUrl?: string
  postgresUrl?: string
}>

export type StackOptions = Readonly<{
  stateDir: string
  serversDir: string
  host: string
  postgresPassword: string
  existing?: ExistingServers
  onProgress: Progress
}>

export type StackAddresses = Readonly<{
  kafka: Readonly<{ brokers: readonly string[] }>
  registry: Readonly<{ url: string }>
  clickhouse: Readonly<{ url: string }>
  postgres: Readonly<{ url: string }>
}>

export type Stack = StackAddresses &
  Readonly<{
    /** Ends the servers in order; their data stays. */
    stop(): Promise<void>
  }>

const PORT_NAMES = [
  'kafka',
  'kafkaController',
  'registry',
  'clickhouse',
  'clickhouseTcp',
  'postgres',
] as const
type Ports = Readonly<Record<(typeof PORT_NAMES)[number], number>>

/** Starts what is not given and resolves when all of it serves; stops all again when one fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stateDir = resolve(options.stateDir)
  const runDir = join(stateDir, 'run')
  await mkdir(join(stateDir, 'logs'), { recursive: true })
  await mkdir(runDir, { recursive: true })
  const left = await endLeftovers(runDir)
  if (left.length > 0) {
    options.onProgress({
      what: `ended what an earlier run left: ${left.join(', ')}`,
      state: 'done',
    })
  }
  const ports = await rememberedPorts(join(stateDir, 'ports.json'), options.host, PORT_NAMES)
  const runner = new ChildRunner()
  const starts = serverPlans({ ...options, stateDir }, ports).map(async (plan) => {
    const spec = await plan.prepare()
    await withProgress(options.onProgress, `start ${plan.title}`, () => runner.start(spec))
  })
  const failed = (await Promise.allSettled(starts)).find((start) => start.status === 'rejected')
  const stop = async (): Promise<void> => {
    await runner.stop()
    await forgetProcesses(runDir)
  }
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  return { ...addressesOf(options, ports), stop }
}

type Plan = Readonly<{ title: string; prepare: () => Promise<ChildSpec> }>

function serverPlans(options: StackOptions, ports: Ports): readonly Plan[] {
  const { existing = {}, stateDir } = options
  const place = (name: string, port: number): ServerPlace => ({
    dataDir: join(stateDir, 'data', name),
    serversDir: options.serversDir,
    logFile: join(stateDir, 'logs', `${name}.log`),
    host: options.host,
    port,
    onProgress: options.onProgress,
    onSpawn: (id, pid) => recordProcess(join(stateDir, 'run'), id, pid),
  })
  const plans: Plan[] = []
  if (existing.kafkaBrokers === undefined) {
    const kafka = { ...place('kafka', ports.kafka), controllerPort: ports.kafkaController }
    plans.push({ title: 'Kafka', prepare: () => kafkaServer(kafka) })
  }
  if (existing.registryUrl === undefined) {
    const registry = place('registry', ports.registry)
    plans.push({ title: 'schema registry', prepare: () => registryServer(registry) })
  }
  if (existing.clickhouseUrl === undefined) {
    const clickhouse = { ...place('clickhouse', ports.clickhouse), tcpPort: ports.clickhouseTcp }
    plans.push({ title: 'ClickHouse', prepare: () => clickhouseServer(clickhouse) })
  }
  if (existing.postgresUrl === undefined) {
    const postgres = place('postgres', ports.postgres)
    plans.push({ title: 'Postgres', prepare: () => preparePostgres(options, postgres) })
  }
  return plans
}

/** As root, Postgres and its data move to where its user can reach them, and we say so. */
async function preparePostgres(options: StackOptions, place: ServerPlace): Promise<ChildSpec> {
  const user = await unprivilegedUser()
  const password = options.postgresPassword
  if (user === undefined || (await bothReachable(place))) {
    return postgresServer({ ...place, user, password })
  }
  const key = createHash('sha256').update(options.stateDir).digest('hex').slice(0, 12)
  const elsewhere = `/var/tmp/weir-${key}`
  options.onProgress({
    what: `Postgres may not run as root and user ${user.name} cannot reach ${options.stateDir}: its data is in ${elsewhere}`,
    state: 'done',
  })
  const dataDir = join(elsewhere, 'postgres')
  const serversDir = join(elsewhere, 'servers')
  return postgresServer({ ...place, dataDir, serversDir, user, password })
}

const bothReachable = async (place: ServerPlace): Promise<boolean> =>
  (await reachableByOthers(place.dataDir)) && (await reachableByOthers(place.serversDir))

function addressesOf(options: StackOptions, ports: Ports): StackAddresses {
  const { existing = {}, host } = options
  const password = encodeURIComponent(options.postgresPassword)
  const postgres = `postgres://${POSTGRES_USER}:${password}@${host}:${ports.postgres}/postgres`
  return {
    kafka: { brokers: existing.kafkaBrokers ?? [`${host}:${ports.kafka}`] },
    registry: { url: existing.registryUrl ?? registryUrlOf({ host, port: ports.registry }) },
    clickhouse: { url: existing.clickhouseUrl ?? `http://${host}:${ports.clickhouse}` },
    postgres: { url: existing.postgresUrl ?? postgres },
  }
}
