/**
 * `weir up`: the roles as child processes of one supervisor, against servers that exist. It is a
 * role itself, so it has the same options, logs, signals and admin server; its /readyz says which
 * role is missing.
 *
 * Roles take their options from the environment that `weir up` was started with. They start right
 * bank first and stop left bank first: devices are refused before anything behind them goes away.
 */
import { join } from 'node:path'
import { envName } from '../platform/config/option-names.ts'
import type { OptionTable, OptionValues } from '../platform/config/options.ts'
import { PROCESS_OPTIONS, SUPERVISION_OPTIONS } from '../platform/config/shared-options.ts'
import { membershipExecutor } from '../platform/kafka/leave-group.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { processNames } from '../platform/lifecycle/process-names.ts'
import type { Role } from '../platform/lifecycle/role.ts'
import type { ChildEvent } from '../platform/lifecycle/supervised-child.ts'
import { Supervisor } from '../platform/lifecycle/supervisor.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { Metrics } from '../platform/observe/metrics.ts'

/** Start order. */
const ROLES = ['api', 'pipeline', 'connectors', 'auditor'] as const

/** A role closes what it holds after its own deadline; only then is it killed. */
const ROLE_CLOSING_MS = 3_000
const ROLE_READY_MS = 120_000

const UP_OPTIONS = {
  ...PROCESS_OPTIONS,
  ...SUPERVISION_OPTIONS,
  adminPort: {
    ...PROCESS_OPTIONS.adminPort,
    doc:
      'Port of the admin server; api, pipeline, connectors and auditor take the next four, further' +
      ' pipelines those after; 0: any free.',
  },
  drainDeadlineMs: {
    ...PROCESS_OPTIONS.drainDeadlineMs,
    default: 45_000,
    min: 15_000,
    doc: 'How long all roles together may take to end, one after the other.',
  },
} as const satisfies OptionTable

export const upRole: Role<typeof UP_OPTIONS> = {
  name: 'up',
  summary: 'Run all roles under a supervisor, against servers that exist.',
  options: UP_OPTIONS,
  async build({ options, logger, metrics, clock }) {
    const supervisor = new Supervisor({
      children: roleChildren(options),
      clock,
      onEvent: (event) => report(event, logger, metrics),
      executeWill: membershipExecutor(),
    })
    return {
      services: [supervisor],
      addresses: () =>
        Object.fromEntries(
          supervisor
            .status()
            .flatMap(({ id, addresses }) =>
              Object.entries(addresses).map(([name, url]) => [
                name === 'admin' ? `${id}Admin` : name,
                url,
              ]),
            ),
        ),
    }
  },
}

/** In start order; the processes of a role start and stop side by side. */
export function roleChildren(
  options: OptionValues<typeof UP_OPTIONS>,
): readonly (readonly ChildSpec[])[] {
  const { adminPort, drainDeadlineMs, pipelineProcesses } = options
  const shutdownMs = Math.floor(drainDeadlineMs / ROLES.length)
  return ROLES.map((role, at) => {
    const names = processNames(role, role === 'pipeline' ? pipelineProcesses : 1)
    return names.map((id, nth) => ({
      id,
      command: process.execPath,
      args: [...process.execArgv, join(import.meta.dirname, 'weir.js'), role],
      env: {
        [envName('adminHost')]: options.adminHost,
        [envName('adminPort')]: String(adminPort === 0 ? 0 : adminPort + portOffset(at, nth)),
        [envName('logLevel')]: options.logLevel,
        [envName('logFormat')]: options.logFormat,
        [envName('drainDeadlineMs')]: String(shutdownMs - ROLE_CLOSING_MS),
      },
      restart: 'permanent',
      shutdownSignal: 'SIGTERM',
      shutdownMs,
      readiness: { kind: 'ipc' },
      readyMs: ROLE_READY_MS,
    }))
  })
}

/** The first of each role has the port that it would have alone. */
const portOffset = (roleAt: number, nth: number): number =>
  nth === 0 ? roleAt + 1 : ROLES.length + nth

function report(event: ChildEvent, logger: Logger, metrics: Metrics): void {
  const child = { child: event.id }
  switch (event.kind) {
    case 'started':
      return logger.info('role started', { ...child, pid: event.pid })
    case 'ready':
      return logger.info('role ready', { ...child, tookMs: event.tookMs })
    case 'exited':
      if (event.asked) return logger.info('role ended', child)
      return logger.error('role ended by itself', { ...child, ...event.exit })
    case 'stalled':
      return logger.error('role does not answer: killing it', child)
    case 'backing_off':
      metrics.add('weir_supervisor_restarts_total', 1, child)
      return logger.warn('role starts again after a pause', { ...child, delayMs: event.delayMs })
    case 'will_done':
      return logger.info('did what an ended role left to do', { ...child, ...event.will })
    case 'will_failed':
      return logger.warn('an ended role left more to do', { ...child, error: event.error })
    case 'gave_up':
      return logger.error('role ended too often: ending everything', child)
  }
}
