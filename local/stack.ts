/**
 * The four servers of a Weir deployment on one machine, nothing installed by hand: Kafka, schema
 * registry, Postgres, ClickHouse as supervised child processes. They start side by side, keep
 * their data in one folder, and survive being killed.
 *
 *   <stateDir>/data/<server>   what a server keeps          <stateDir>/logs   what it prints
 *   <stateDir>/run             process records, the lock    <stateDir>/ports.json
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { systemClock } from '../platform/clock.ts'
import { Failure } from '../platform/failure.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import type { ChildEvent } from '../platform/lifecycle/supervised-child.ts'
import { Supervisor } from '../platform/lifecycle/supervisor.ts'
import { clickhouseServer } from './clickhouse-server.ts'
import { rememberedPorts } from './free-port.ts'
import { kafkaHome, kafkaServer } from './kafka-server.ts'
import { POSTGRES_USER, postgresServer } from './postgres-server.ts'
import { type Needs, requirePrerequisites } from './prerequisites.ts'
import { registryHome, registryServer, registryUrlOf } from './registry-server.ts'
import { endLeftovers, forgetProcesses, recordProcess } from './run-records.ts'
import { type Progress, type ServerPlace, withProgress } from './server-place.ts'
import { reachableFolder } from './reachable-folder.ts'
import { unprivilegedUser } from './unix-user.ts'

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
  /** Asks to give up while the stack is starting. */
  signal: AbortSignal
}>

export type StackAddresses = Readonly<{
  kafka: Readonly<{ brokers: readonly string[] }>
  registry: Readonly<{ url: string }>
  clickhouse: Readonly<{ url: string }>
  postgres: Readonly<{ url: string }>
}>

export type Stack = StackAddresses &
  Readonly<{
    /** Rejects when a server ended so often that starting it again does not help. */
    failure: Promise<never>
    /** Ends the servers; their data stays. */
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
export async function startStack(given: StackOptions): Promise<Stack> {
  const trouble = new AbortController()
  const signal = AbortSignal.any([given.signal, trouble.signal])
  const options = { ...given, signal, stateDir: resolve(given.stateDir) }
  const { stateDir, onProgress } = options
  const runDir = join(stateDir, 'run')
  await mkdir(join(stateDir, 'logs'), { recursive: true })
  await mkdir(runDir, { recursive: true })
  await requirePrerequisites(needsOf(options))
  await endLeftovers(runDir, onProgress)
  const ports = await rememberedPorts(join(stateDir, 'ports.json'), options.host, PORT_NAMES)

  const supervisors: Supervisor[] = []
  const starts = serverPlans(options, ports).map(async (plan) => {
    const spec = await plan.prepare()
    const onEvent = reportOf({ ...plan, runDir, onProgress })
    const supervisor = new Supervisor({ children: [spec], clock: systemClock, onEvent })
    supervisor.failure.catch(() => {}) // Whoever watches the stack's failure sees it.
    if (signal.aborted) return
    supervisors.push(supervisor)
    await withProgress(onProgress, `start ${plan.title}`, () => supervisor.start())
  })
  const stop = async (): Promise<void> => {
    await Promise.all(supervisors.map((supervisor) => supervisor.drain(Number.POSITIVE_INFINITY)))
    await forgetProcesses(runDir)
  }
  const stopEarly = (): void => void stop()
  signal.addEventListener('abort', stopEarly)
  try {
    await Promise.all(starts)
    if (signal.aborted) throw new Failure('shutting_down', 'Asked to stop.')
  } catch (error) {
    // When one server cannot start, the others need not get ready first.
    trouble.abort()
    await Promise.allSettled(starts)
    await stop()
    throw error
  } finally {
    signal.removeEventListener('abort', stopEarly)
  }
  const failure = Promise.race(supervisors.map((supervisor) => supervisor.failure))
  return { ...addressesOf(options, ports), failure, stop }
}

/** Tells what happens to a server and records its process, so that a later start can end it. */
export function reportOf(
  about: Readonly<{ title: string; runDir: string; onProgress: Progress }>,
): (event: ChildEvent) => void {
  const note = (what: string): void => about.onProgress({ kind: 'note', what })
  let lost = false
  return (event) => {
    if (event.kind === 'started') recordProcess(about.runDir, event.id, event.pid)
    if (event.kind === 'backing_off') {
      lost = true
      note(`${about.title} ended by itself and is started again`)
    }
    if (event.kind === 'stalled') note(`${about.title} does not answer and is ended`)
    if (event.kind === 'ready' && lost) note(`${about.title} serves again`)
    if (event.kind === 'gave_up') note(event.failure.message)
  }
}

function needsOf({ existing = {}, serversDir }: StackOptions): Needs {
  const kafka = existing.kafkaBrokers === undefined
  const registry = existing.registryUrl === undefined
  return {
    java: kafka || registry,
    maven:
      (kafka && !existsSync(kafkaHome(serversDir))) ||
      (registry && !existsSync(registryHome(serversDir))),
    clickhouse: existing.clickhouseUrl === undefined,
  }
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
    signal: options.signal,
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

/** As root, Postgres and its data move to where its user can reach them. */
async function preparePostgres(options: StackOptions, place: ServerPlace): Promise<ChildSpec> {
  const user = await unprivilegedUser()
  const password = options.postgresPassword
  if (user === undefined) return postgresServer({ ...place, user, password })
  const { onProgress } = options
  const dataDir = await reachableFolder({ folder: place.dataDir, what: 'data', user, onProgress })
  const serversDir = await reachableFolder({
    folder: join(place.serversDir, 'postgres'),
    what: 'program',
    user,
    onProgress,
  })
  return postgresServer({ ...place, dataDir, serversDir, user, password })
}

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
