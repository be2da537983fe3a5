/** Which letters a command is about, as options. */
import { systemClock } from '../../platform/clock.ts'
import type { OptionTable, OptionValues } from '../../platform/config/options.ts'
import { timeOf } from '../operator/time-option.ts'
import type { LetterFilter } from './letter-scan.ts'

export const FILTER_OPTIONS = {
  reason: { kind: 'list', default: [], doc: 'Only letters with one of these reasons.' },
  stage: { kind: 'list', default: [], doc: 'Only letters of one of these stages.' },
  tenant: { kind: 'text', default: '', doc: 'Only letters of this tenant.' },
  device: { kind: 'text', default: '', doc: 'Only letters of this device.' },
  since: { kind: 'text', default: '', doc: 'Only letters written since: RFC 3339, ms, or 2h ago.' },
  until: { kind: 'text', default: '', doc: 'Only letters written before this time.' },
  partition: {
    kind: 'integer',
    default: -1,
    min: -1,
    max: 100_000,
    doc: 'Only letters of this partition; -1: of all.',
  },
} as const satisfies OptionTable

export function filterOf(options: OptionValues<typeof FILTER_OPTIONS>): LetterFilter {
  const { reason, stage, tenant, device, since, until, partition } = options
  const nowMs = systemClock.nowMs()
  return {
    ...{ reasons: reason, stages: stage, tenant, device, partition },
    sinceMs: timeOf('--since', since, { nowMs, otherwise: 0 }),
    untilMs: timeOf('--until', until, { nowMs, otherwise: Infinity }),
  }
}
