/** `weir audit`: is what arrived stored, once, and are the rollups what the samples make them? */
import { systemClock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { createLogger } from '../../platform/observe/json-logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import { acceptedAgeMs } from '../../schemas/telemetry.ts'
import { operatorCommand } from '../operator/operator-command.ts'
import { progressLine } from '../operator/progress-line.ts'
import { timeOf } from '../operator/time-option.ts'
import { AUDIT_OPTIONS } from './audit-options.ts'
import { reportText, tallyJson } from './audit-report.ts'
import { type AuditResult, runAudit } from './audit-run.ts'
import { type LedgerVerdict, ledgerText, witnessLedger } from './witness/ledger-witness.ts'
import { openAudit } from './open-audit.ts'
import { SHARES } from './windows/series-sample.ts'

type Values = OptionValues<typeof AUDIT_OPTIONS>

const NAME = 'audit'
const SUMMARY = 'Prove that what arrived is stored, once, and that rollups are what samples make.'
/** So many are checked whatever the share; a series counts once for each of its hours. */
export const SERIES_MIN = 20

export const auditCommand = operatorCommand({
  name: NAME,
  summary: SUMMARY,
  options: AUDIT_OPTIONS,
  run,
})

async function run(options: Values): Promise<number> {
  const nowMs = systemClock.nowMs()
  const span = spanOf(options, nowMs)
  const logger = createLogger({
    level: 'warn',
    format: process.stderr.isTTY ? 'text' : 'json',
    clock: systemClock,
    write: (line) => process.stderr.write(line),
  })
  const metrics = new Metrics({ role: NAME, processMetrics: false })
  const audit = await openAudit(options, { logger, metrics, clock: systemClock })
  const line = progressLine('weir audit')
  const { signal } = new AbortController()
  try {
    const ports = { ...audit.ports, signal }
    const { topicPrefix, tenant, share } = options
    const result = await runAudit(
      ports,
      {
        ...{ topicPrefix, nowMs, ...span, tenant: tenant === '' ? undefined : tenant },
        acceptedAgeMs: acceptedAgeMs(options),
        share: Math.round((share * SHARES) / 100),
        seriesMin: SERIES_MIN,
        sliceSamples: options.auditSliceSamples,
      },
      ({ what, done, ofAll }) => line.show(done, ofAll, UNITS[what]),
    )
    const ledger =
      options.ledger === ''
        ? undefined
        : await witnessLedger(ports, options, (open) => line.show(0, open, 'records to commit'))
    line.end()
    return printed(options, result, ledger)
  } finally {
    line.end()
    await audit.close()
  }
}

const UNITS = {
  'dead letters': 'dead letters',
  log: 'records',
  windows: 'groups of windows',
  numbers: 'looks at message numbers',
} as const

function printed(options: Values, result: AuditResult, ledger: LedgerVerdict | undefined): number {
  process.stdout.write(reportText(result))
  if (ledger !== undefined) process.stdout.write(ledgerText(ledger))
  const { cut, tallies, findings, findingCount } = result
  const ok = findingCount === 0 && (ledger?.findingCount ?? 0) === 0
  if (options.json) {
    const answer = {
      ...{ command: NAME, ok, from: cut.fromMs, to: cut.toMs, openRecords: cut.openRecords },
      truncatedHours: cut.truncatedHours,
      hours: tallies.map(tallyJson),
      ...{ findings, findingCount },
      ...(ledger === undefined ? {} : { ledger }),
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  return ok ? EXIT.ok : EXIT.failed
}

function spanOf(options: Values, nowMs: number): Readonly<{ fromMs: number; toMs: number }> {
  const toMs = timeOf('--to', options.to, { nowMs, otherwise: nowMs })
  const lengthMs = nowMs - timeOf('--last', options.last, { nowMs, otherwise: nowMs })
  const fromMs = timeOf('--from', options.from, { nowMs, otherwise: toMs - lengthMs })
  if (fromMs < toMs) return { fromMs, toMs }
  throw new Failure('config_invalid', '--from must be before --to, and --last a length such as 2h')
}
