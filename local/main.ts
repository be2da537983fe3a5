/**
 * `npm start`: the whole system on this machine. Servers, tables and topics, roles, then a small
 * fleet that plays devices; and on Ctrl-C all of it away again, devices first, data kept.
 */
import { rm, writeFile, rename } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { systemClock } from '../platform/clock.ts'
import { helpText } from '../platform/config/help-text.ts'
import type { OptionValues } from '../platform/config/options.ts'
import { readOptions } from '../platform/config/read-options.ts'
import { Failure } from '../platform/failure.ts'
import { listenFailure } from '../platform/http/listen-failure.ts'
import { membershipExecutor } from '../platform/kafka/leave-group.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { EXIT } from '../platform/lifecycle/exit-codes.ts'
import { Supervisor } from '../platform/lifecycle/supervisor.ts'
import { rememberedPorts, whyNotFree } from './free-port.ts'
import { LOCAL_OPTIONS } from './local-options.ts'
import { progressPrinter } from './progress-printer.ts'
import {
  demoChild,
  environmentOf,
  roleChild,
  roleProcesses,
  type RoleSurroundings,
  weirProgram,
} from './roles.ts'
import { lockRun, type RunLock } from './run-lock.ts'
import { runProgram } from './run-program.ts'
import { endLeftovers, forgetProcesses, killRecorded } from './run-records.ts'
import { localSecrets } from './secrets.ts'
import { type Progress, withProgress } from './server-place.ts'
import { type ExistingServers, reportOf, startStack, type Stack } from './stack.ts'
import { watchWishToEnd } from './wish-to-end.ts'

type Values = OptionValues<typeof LOCAL_OPTIONS>
const SERVERS_HOST = '127.0.0.1'
const HELP = {
  name: 'start',
  summary: 'The whole system on this machine, with a small fleet that plays devices.',
  typed: 'npm start --',
  options: LOCAL_OPTIONS,
} as const

/** Resolves to the exit code: 0 after an orderly end, 1 with a sentence when something failed. */
export async function main(
  argv: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(helpText(HELP))
    return EXIT.ok
  }
  const read = readOptions(LOCAL_OPTIONS, { argv, env })
  if (read.kind === 'problems') {
    for (const problem of read.problems) say(`${problem}\n`)
    return EXIT.usage
  }
  const stateDir = resolve(read.values.stateDir)
  let lock: RunLock | undefined
  try {
    lock = await lockRun(stateDir)
    await run({ ...read.values, stateDir }, lock)
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    if (error.code === 'shutting_down') return EXIT.ok
    say(`\n${error.message}\n`)
    return EXIT.failed
  } finally {
    await lock?.release()
  }
}

const say = (text: string): void => void process.stdout.write(text)

async function run(options: Values, lock: RunLock): Promise<void> {
  const startedMs = systemClock.monotonicMs()
  const { stateDir } = options
  const localFile = join(stateDir, 'local.json')
  const runDir = join(stateDir, 'run')
  const wish = watchWishToEnd(systemClock, () => {
    killRecorded(runDir)
    process.exit(EXIT.failed)
  })
  const onProgress = progressPrinter(say)
  const ends: (() => Promise<void>)[] = []
  try {
    await rm(localFile, { force: true })
    await endLeftovers(runDir, onProgress)
    await requireFrontPorts(options)
    const system = await startSystem(options, { onProgress, signal: wish.signal, ends })
    await writeWhole(localFile, system.description)
    ends.push(() => rm(localFile, { force: true }))
    await lock.announce(system.dashboardUrl)
    say(welcome(system, { localFile, tookMs: systemClock.monotonicMs() - startedMs }))
    if (options.demo) {
      const demo = supervise(demoChild(system.around, localFile), { runDir, onProgress })
      ends.push(() => demo.drain(Number.POSITIVE_INFINITY))
      // Its end is told, but what it plays to goes on without it.
      demo.failure.catch(() => {})
      await demo.start()
    }
    await Promise.race([aborted(wish.signal), system.failure])
  } finally {
    if (ends.length > 0) say('\nStopping: devices first, servers last. Data stays.\n')
    for (const end of ends.toReversed()) await end()
    await forgetProcesses(runDir)
    wish.release()
  }
}

type Watching = Readonly<{
  onProgress: Progress
  signal: AbortSignal
  /** What has to be ended, in the order of starting. */
  ends: (() => Promise<void>)[]
}>

type System = Readonly<{
  around: RoleSurroundings
  dashboardUrl: string
  description: unknown
  failure: Promise<never>
}>

async function startSystem(options: Values, watching: Watching): Promise<System> {
  const { onProgress, signal, ends } = watching
  const { stateDir } = options
  const secrets = await localSecrets(stateDir)
  const stack = await startStack({
    stateDir,
    serversDir: options.serversDir === '' ? join(stateDir, 'servers') : resolve(options.serversDir),
    host: SERVERS_HOST,
    postgresPassword: secrets.postgresPassword,
    existing: existingServers(options),
    onProgress,
    signal,
  })
  ends.push(() => stack.stop())
  const adminPortsFile = join(stateDir, 'admin-ports.json')
  const names = roleProcesses(options.pipelineProcesses).map(({ id }) => id)
  const adminPorts = await rememberedPorts(adminPortsFile, SERVERS_HOST, names)
  const around: RoleSurroundings = { ...options, addresses: stack, secrets, adminPorts }
  const env = { ...process.env, ...environmentOf(around) }
  await withProgress(onProgress, 'tables, topics and schemas', () =>
    runProgram(process.execPath, [weirProgram(), 'migrate'], { env, signal }),
  )
  const roles = await startRoles(around, watching)
  return {
    around,
    dashboardUrl: `${roles.api ?? ''}/`,
    description: describe(around, stack, roles),
    failure: Promise.race([stack.failure, roles.failure]),
  }
}

type Roles = Readonly<{
  api: string | undefined
  mqtt: string | undefined
  admin: Readonly<Record<string, string>>
  failure: Promise<never>
}>

async function startRoles(around: RoleSurroundings, watching: Watching): Promise<Roles> {
  const { onProgress, signal, ends } = watching
  const runDir = join(around.stateDir, 'run')
  const processes = roleProcesses(around.pipelineProcesses)
  const supervisors = processes.map((each) =>
    supervise(roleChild(each, around), { runDir, onProgress }),
  )
  const stop = async (): Promise<void> => {
    // Role by role: processes that share partitions would only hand them to each other.
    for (const role of new Set(processes.map((each) => each.role))) {
      const ending = supervisors.filter((_, index) => processes[index]?.role === role)
      await Promise.all(ending.map((each) => each.drain(Number.POSITIVE_INFINITY)))
    }
  }
  ends.push(stop)
  const stopEarly = (): void => void stop()
  signal.addEventListener('abort', stopEarly)
  try {
    if (signal.aborted) throw new Failure('shutting_down', 'Asked to stop.')
    await Promise.all(
      supervisors.map((supervisor, index) =>
        withProgress(onProgress, `start ${processes[index]?.id}`, () => supervisor.start()),
      ),
    )
  } catch (error) {
    throw signal.aborted ? new Failure('shutting_down', 'Asked to stop.') : error
  } finally {
    signal.removeEventListener('abort', stopEarly)
  }
  const statuses = supervisors.flatMap((supervisor) => supervisor.status())
  const addressOf = (name: string): string | undefined =>
    statuses.map(({ addresses }) => addresses[name]).find((url) => url !== undefined)
  return {
    api: addressOf('api')?.replace(/\/$/, ''),
    mqtt: addressOf('mqtt'),
    // Where a role has several processes, its own name stands for the first of them.
    admin: Object.fromEntries(
      statuses.toReversed().flatMap(({ id, addresses }) => {
        const url = addresses['admin']
        return url === undefined
          ? []
          : [
              [id.replace(/-\d+$/, ''), url],
              [id, url],
            ]
      }),
    ),
    failure: Promise.race(supervisors.map((supervisor) => supervisor.failure)),
  }
}

function supervise(
  spec: ChildSpec,
  { runDir, onProgress }: Readonly<{ runDir: string; onProgress: Progress }>,
): Supervisor {
  const onEvent = reportOf({ title: spec.id, runDir, onProgress })
  const supervisor = new Supervisor({
    children: [spec],
    clock: systemClock,
    onEvent,
    executeWill: membershipExecutor(),
  })
  supervisor.failure.catch(() => {}) // Whoever watches all of them sees it.
  return supervisor
}

function existingServers(options: Values): ExistingServers {
  const { kafkaBrokers, registryUrl, clickhouseUrl, postgresUrl } = options
  return {
    ...(kafkaBrokers.length === 0 ? {} : { kafkaBrokers }),
    ...(registryUrl === '' ? {} : { registryUrl }),
    ...(clickhouseUrl === '' ? {} : { clickhouseUrl }),
    ...(postgresUrl === '' ? {} : { postgresUrl }),
  }
}

/** Before the servers start: a taken port should not cost half a minute to find out. */
async function requireFrontPorts({ host, mqttPort, apiPort }: Values): Promise<void> {
  for (const [option, port] of Object.entries({ mqttPort, apiPort })) {
    const error = await whyNotFree(host, port)
    if (error !== undefined) throw listenFailure(error, { host, port, option })
  }
}

/** The shape that other programs rely on. */
function describe(around: RoleSurroundings, stack: Stack, roles: Roles): unknown {
  const { secrets, tenant } = around
  const prefix = around.topicPrefix === '' ? {} : { topicPrefix: around.topicPrefix }
  return {
    ...(roles.api === undefined
      ? {}
      : {
          api: { url: roles.api, key: secrets.apiKey, tenant },
          dashboard: { url: `${roles.api}/#key=${secrets.apiKey}` },
        }),
    ...(roles.mqtt === undefined ? {} : { mqtt: { url: roles.mqtt } }),
    kafka: { ...stack.kafka, ...prefix },
    registry: stack.registry,
    clickhouse: { ...stack.clickhouse, database: around.clickhouseDatabase },
    postgres: stack.postgres,
    admin: roles.admin,
  }
}

function welcome(system: System, at: Readonly<{ localFile: string; tookMs: number }>): string {
  const { around, dashboardUrl } = system
  const { apiKey } = around.secrets
  return [
    '',
    `Weir runs (${(at.tookMs / 1000).toFixed(1)} s).`,
    '',
    `  Dashboard   ${dashboardUrl}#key=${apiKey}`,
    `  API         ${dashboardUrl}v1/   key ${apiKey}`,
    `  MQTT        mqtt://${around.host}:${around.mqttPort}   tenant ${around.tenant}`,
    `  Everything  ${at.localFile}`,
    `  Logs        ${join(around.stateDir, 'logs')}`,
    '',
    'Ctrl-C stops all of it and keeps the data.',
    '',
  ].join('\n')
}

/** Readers see the whole file or none; it holds a key, so it is its owner's only. */
async function writeWhole(file: string, content: unknown): Promise<void> {
  await writeFile(`${file}.half`, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 })
  await rename(`${file}.half`, file)
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
