/** Options of `weir audit` and of the auditor. */
import type { OptionTable } from '../../platform/config/options.ts'
import {
  CLICKHOUSE_OPTIONS,
  KAFKA_OPTIONS,
  RETENTION_OPTIONS,
} from '../../platform/config/shared-options.ts'
import { STACK_OPTION } from '../operator/operator-command.ts'

export const SOURCE_OPTIONS = {
  ...KAFKA_OPTIONS,
  ...CLICKHOUSE_OPTIONS,
  ...RETENTION_OPTIONS,
} as const satisfies OptionTable

const SLICE_OPTIONS = {
  auditSliceSamples: {
    kind: 'integer',
    default: 300_000,
    min: 1_000,
    max: 10_000_000,
    doc: 'Samples of the log compared with the raw table at once; each takes some 200 bytes.',
  },
} as const satisfies OptionTable

const SHARE = {
  kind: 'integer',
  default: 1,
  min: 0,
  max: 100,
  unit: 'percent',
} as const

export const AUDIT_OPTIONS = {
  ...STACK_OPTION,
  from: { kind: 'text', default: '', doc: 'Start of the span: RFC 3339, ms, or 2h ago.' },
  to: { kind: 'text', default: '', doc: 'End of the span, in the same forms; empty: now.' },
  last: { kind: 'text', default: '24h', doc: 'How long the span is, where no start is given.' },
  tenant: { kind: 'text', default: '', doc: 'Only what is of this tenant.' },
  share: { ...SHARE, doc: 'Of series whose windows are folded again; 20 are in any case.' },
  ledger: {
    kind: 'text',
    default: '',
    doc: 'A ledger of a load test: what it saw acknowledged is looked for in the raw table.',
  },
  ...SLICE_OPTIONS,
  json: { kind: 'switch', default: false, doc: 'End with one JSON object on standard output.' },
  ...SOURCE_OPTIONS,
} as const satisfies OptionTable

export const AUDITOR_OPTIONS = {
  auditShare: {
    ...SHARE,
    doc: 'Of series whose windows are folded again each hour; 20 are in any case.',
  },
  auditHoursMax: {
    kind: 'integer',
    default: 6,
    min: 1,
    max: 168,
    unit: 'hours',
    doc: 'Missed hours that are caught up with in one reading of the log.',
  },
  auditDelayS: {
    kind: 'integer',
    default: 120,
    min: 0,
    max: 86_400,
    unit: 'seconds',
    doc: 'How long after its end an hour is audited, at the earliest.',
  },
  ...SLICE_OPTIONS,
  ...SOURCE_OPTIONS,
} as const satisfies OptionTable
