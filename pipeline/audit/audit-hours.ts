/** The table audit_hours: what the auditor found, for /v1/audit and for itself. */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import { addTo } from './audit-report.ts'
import type { AuditResult } from './audit-run.ts'
import { emptyTally, type Finding, type HourTally } from './hour-tally.ts'

/** Sentences kept of one tenant and hour. */
const SENTENCES_MAX = 50

/** Start of the newest audited hour; undefined before the first. */
export async function lastAuditedMs(
  clickhouse: Pick<Clickhouse, 'select'>,
): Promise<number | undefined> {
  const [row] = await clickhouse.select<{ n: number; at: number }>(
    `SELECT toFloat64(count()) AS n, toFloat64(toUnixTimestamp(max(hour))) * 1000 AS at
     FROM audit_hours WHERE tenant = ''`,
  )
  return row === undefined || row.n === 0 ? undefined : row.at
}

/** A row for each tenant and hour, and for every hour of the range one without a tenant. */
export async function writeAuditHours(
  clickhouse: Pick<Clickhouse, 'command'>,
  result: AuditResult,
  auditedAtMs: number,
): Promise<void> {
  const { cut, tallies, findings } = result
  const sums = new Map(cut.hoursMs.map((hourMs) => [hourMs, emptyTally('', hourMs)]))
  for (const tally of tallies) {
    const sum = sums.get(tally.hourMs)
    if (sum !== undefined) addTo(sum, tally)
  }
  const ofTenants = tallies.filter(({ tenant }) => tenant !== '')
  const rows = [...ofTenants, ...sums.values()].map((tally) => {
    const own = findings.filter(
      ({ hourMs, tenant }) =>
        hourMs === tally.hourMs && (tally.tenant === '' || tenant === tally.tenant),
    )
    const whole = !cut.truncatedHours.includes(tally.hourMs)
    return rowOf(tally, { own, whole, auditedAtMs })
  })
  if (rows.length === 0) return
  const lines = rows.map((row) => JSON.stringify(row)).join('\n')
  await clickhouse.command(
    `INSERT INTO audit_hours FORMAT JSONEachRow\n${lines}`,
    {},
    { settings: { async_insert: 0, insert_deduplicate: 0 } },
  )
}

function rowOf(
  tally: HourTally,
  more: Readonly<{ own: readonly Finding[]; whole: boolean; auditedAtMs: number }>,
): Readonly<Record<string, unknown>> {
  const { own, whole, auditedAtMs } = more
  return {
    tenant: tally.tenant,
    hour: tally.hourMs / 1000,
    records: tally.records,
    unreadable: tally.unreadable,
    produced: tally.produced,
    duplicates: tally.duplicates,
    refused: tally.refused,
    stored: tally.stored,
    missing: tally.missing,
    invented: tally.invented,
    altered: tally.altered,
    letters_missing: tally.lettersMissing,
    dead_letters: Object.fromEntries(tally.deadLetters),
    corrected: tally.corrected,
    series_checked: tally.seriesChecked,
    windows_checked: tally.windowsChecked,
    windows_wrong: tally.windowsWrong,
    numbers_present: tally.numbersPresent,
    numbers_missing: tally.numbersMissing,
    whole: whole ? 1 : 0,
    finding_count: findingsIn(tally),
    findings: own.slice(0, SENTENCES_MAX).map(({ text }) => text),
    audited_at: (auditedAtMs / 1000).toFixed(3),
  }
}

/** What of a tally is wrong. Numbers that never came count one by one. */
const findingsIn = (t: HourTally): number =>
  t.missing + t.invented + t.altered + t.lettersMissing + t.windowsWrong + t.numbersMissing
