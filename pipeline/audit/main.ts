/**
 * Composition root of the auditor process, and the way in to `weir audit`. Here are the audit as a
 * whole, its books and its two occasions, a command and a process; below it
 *
 *   log/      what the log of a range says must be stored, and which letters tell of its refusals
 *   samples/  the raw table against the log, slice by slice
 *   windows/  rollup rows against raw samples, by arithmetic of their own
 *   witness/  who counted before the log: devices that number their messages, and clients' ledgers
 */
import { constants, setPriority } from 'node:os'
import type { Role } from '../../platform/lifecycle/role.ts'
import { acceptedAgeMs, DAY_MS } from '../../schemas/telemetry.ts'
import { systemTimers } from '../timers.ts'
import { SERIES_MIN } from './audit-command.ts'
import { AUDITOR_OPTIONS } from './audit-options.ts'
import { Auditor } from './auditor.ts'
import { openAudit } from './open-audit.ts'
import { SHARES } from './windows/series-sample.ts'

export { auditCommand } from './audit-command.ts'

export const auditorRole: Role<typeof AUDITOR_OPTIONS> = {
  name: 'auditor',
  summary: 'Audits every closed hour: nothing lost, nothing counted twice.',
  options: AUDITOR_OPTIONS,
  async build({ options, logger, metrics, clock }) {
    // Everybody else's work comes first.
    setPriority(constants.priority.PRIORITY_LOW)
    const { ports, clickhouse, close } = await openAudit(options, { logger, metrics, clock })
    const auditor = new Auditor(
      { ports, clickhouse, clock, timers: systemTimers, logger, metrics },
      {
        topicPrefix: options.topicPrefix,
        acceptedAgeMs: acceptedAgeMs(options),
        logRetentionMs: options.logRetentionDays * DAY_MS,
        delayMs: options.auditDelayS * 1000,
        hoursMax: options.auditHoursMax,
        share: Math.round((options.auditShare * SHARES) / 100),
        seriesMin: SERIES_MIN,
        sliceSamples: options.auditSliceSamples,
      },
    )
    const connections = {
      name: 'connections',
      failure: new Promise<never>(() => {}),
      start: async () => {},
      drain: close,
    }
    return { services: [connections, auditor], addresses: () => ({}) }
  },
}
