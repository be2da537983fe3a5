/**
 * What every role shares, from its command line to its exit code:
 *
 *   options -> logger -> admin server -> build -> start in order -> announce -> heartbeats
 *           -> asked to end -> drain in reverse order -> exit 0
 *
 * A defect anywhere ends the process at once (process-ending.ts). A Failure during the start is a
 * sentence for the person who started us, and exit code 1; an unusable command line is 2.
 */
import { systemClock } from '../clock.ts'
import { helpText } from '../config/help-text.ts'
import type { OptionTable, OptionValues } from '../config/options.ts'
import { type OptionSources, readOptions } from '../config/read-options.ts'
import { PROCESS_OPTIONS } from '../config/shared-options.ts'
import { Failure } from '../failure.ts'
import { AdminServer } from '../http/admin-server.ts'
import { createLogger } from '../observe/json-logger.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { EXIT } from './exit-codes.ts'
import { startHeartbeat } from './heartbeat.ts'
import type { RoleMessage } from './ipc-messages.ts'
import type { LastWills } from './last-will.ts'
import { type ProcessEnding, watchProcessEnding } from './process-ending.ts'
import type { Role, RoleContext, RunningRole } from './role.ts'
import { drainServices, startServices } from './run-services.ts'
import type { Service } from './service.ts'

/** Closing takes a moment after the deadline; who has not closed by then is cut off. */
const CLOSING_GRACE_MS = 2_000

type Life = Readonly<{
  ending: ProcessEnding
  logger: Logger
  metrics: Metrics
  drainDeadlineMs: number
}>

/** Resolves to the exit code (exit-codes.ts) when the role was asked to end and has drained. */
export async function runRole<T extends OptionTable>(
  role: Role<T>,
  sources: OptionSources,
): Promise<number> {
  const table = { ...PROCESS_OPTIONS, ...role.options }
  if (sources.argv.includes('--help')) {
    process.stdout.write(helpText({ ...role, options: table }))
    return EXIT.ok
  }
  const read = readOptions(table, sources)
  if (read.kind === 'problems') return refuse(role.name, read.problems)
  // A table that contains both tables' options gives the values of both.
  const options = read.values as OptionValues<T> & OptionValues<typeof PROCESS_OPTIONS>
  const contradictions = role.check?.(options) ?? []
  if (contradictions.length > 0) return refuse(role.name, contradictions)

  const logger = roleLogger(role.name, options)
  const metrics = new Metrics({ role: role.name, processMetrics: true })
  const life: Life = {
    ending: watchProcessEnding(logger, systemClock),
    logger,
    metrics,
    drainDeadlineMs: options.drainDeadlineMs,
  }
  const reasons: { current: () => readonly string[] } = { current: () => ['starting'] }
  const started: Service[] = []
  const admin = new AdminServer({
    host: options.adminHost,
    port: options.adminPort,
    metrics,
    notReady: () => reasons.current(),
    stalled: () => sentences(started, 'stalled'),
  })
  const context: RoleContext<T> = { options, logger, metrics, clock: systemClock, wills }
  const build = () => role.build(context)
  return live({ role: role.name, life, admin, started, reasons, build })
}

type Birth = Readonly<{
  role: string
  life: Life
  admin: AdminServer
  started: Service[]
  reasons: { current: () => readonly string[] }
  build: () => Promise<RunningRole>
}>

async function live({ role, life, admin, started, reasons, build }: Birth): Promise<number> {
  const { logger, metrics, ending } = life
  const startedAtMs = systemClock.monotonicMs()
  const asked = ending.ending.then((reason) => ({ kind: 'asked' as const, reason }))
  const beat = (eventLoopDelayMs: number) => {
    metrics.set('weir_event_loop_delay_seconds', eventLoopDelayMs / 1_000)
    // Who only a new process can help is silent, and is replaced for it.
    const stalled = sentences(started, 'stalled')
    if (stalled.length > 0) return logger.error('stalled', { reasons: stalled })
    tellSupervisor({ type: 'heartbeat', eventLoopDelayMs })
  }
  const stopHeartbeat = startHeartbeat(beat)
  try {
    await startServices([admin], started)
    const first = await Promise.race([startAll(build, started, life), asked])
    if (first.kind === 'ready') {
      reasons.current = () => sentences(started, 'notReady')
      const addresses = { admin: admin.url, ...first.running.addresses() }
      const tookMs = Math.round(systemClock.monotonicMs() - startedAtMs)
      logger.info('ready', { ...addresses, tookMs })
      tellSupervisor({ type: 'ready', role, addresses })
    }
  } catch (error) {
    return reportFailedStart(role, error, logger)
  }
  const { reason } = await asked
  reasons.current = () => ['ending']
  logger.info('ending', { reason })
  const code = await drainAll(started, life)
  stopHeartbeat()
  return code
}

/** Builds and starts everything, and from then on ends the process if any service dies. */
async function startAll(build: () => Promise<RunningRole>, started: Service[], life: Life) {
  const running = await build()
  for (const service of running.services) {
    service.failure.catch((error: unknown) => life.ending.crash(`${service.name} failed`, error))
  }
  await startServices(running.services, started)
  return { kind: 'ready' as const, running }
}

async function drainAll(started: readonly Service[], life: Life): Promise<number> {
  const { logger, drainDeadlineMs, ending } = life
  const cutOff = setTimeout(
    () => ending.crash('not drained within the deadline', { drainDeadlineMs }),
    drainDeadlineMs + CLOSING_GRACE_MS,
  )
  const failed = await drainServices(started, drainDeadlineMs, systemClock)
  clearTimeout(cutOff)
  for (const { service, error } of failed) logger.error('could not drain', { service, error })
  if (failed.length > 0) return EXIT.failed
  logger.info('ended')
  return EXIT.ok
}

function sentences(services: readonly Service[], about: 'notReady' | 'stalled'): string[] {
  return services.flatMap((service) => {
    const sentence = service[about]?.()
    return sentence === undefined ? [] : [`${service.name}: ${sentence}`]
  })
}

function roleLogger(role: string, options: OptionValues<typeof PROCESS_OPTIONS>): Logger {
  const { logLevel, logFormat } = options
  const automatic = process.stderr.isTTY ? 'text' : 'json'
  return createLogger({
    level: logLevel,
    format: logFormat === 'auto' ? automatic : logFormat,
    clock: systemClock,
    write: (line) => process.stderr.write(line),
    fields: { role },
  })
}

function refuse(role: string, problems: readonly string[]): number {
  for (const problem of problems) process.stderr.write(`weir ${role}: ${problem}\n`)
  return EXIT.usage
}

function reportFailedStart(role: string, error: unknown, logger: Logger): number {
  if (error instanceof Failure) process.stderr.write(`weir ${role}: ${error.message}\n`)
  else logger.error('could not start', { error })
  return EXIT.failed
}

const wills: LastWills = {
  declare: (id, will) => tellSupervisor({ type: 'last_will', id, will: will ?? null }),
}

/** The channel may close at any moment; that is noticed as `disconnect`, not here. */
function tellSupervisor(message: RoleMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}
