/** What the auditor wrote about one tenant. Every statement names the tenant. */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { AuditHour } from '../contract/audit.ts'
import { LIMITS } from '../limits.ts'

/** The row that sums up all tenants: only its time is read. */
const EVERYBODY = ''

const SETTINGS = {
  do_not_merge_across_partitions_select_final: 1,
  max_execution_time: LIMITS.querySecondsMax,
  output_format_json_quote_64bit_integers: 0,
}

type HourRow = Omit<AuditHour, 'whole'> & Readonly<{ whole: number }>

export class AuditReader {
  readonly #clickhouse: Pick<Clickhouse, 'select'>

  constructor(clickhouse: Pick<Clickhouse, 'select'>) {
    this.#clickhouse = clickhouse
  }

  /** Hours of the tenant that begin in [fromMs, toMs), in order. */
  async hours(tenant: string, fromMs: number, toMs: number): Promise<readonly AuditHour[]> {
    if (tenant === EVERYBODY) return []
    const rows = await this.#clickhouse.select<HourRow>(
      `SELECT toUnixTimestamp(hour) * 1000 AS hour, toUnixTimestamp64Milli(audited_at) AS auditedAt,
         records, unreadable, produced, stored, duplicates, refused, missing, invented, altered,
         letters_missing AS lettersMissing, dead_letters AS deadLetters, corrected,
         series_checked AS seriesChecked, windows_checked AS windowsChecked,
         windows_wrong AS windowsWrong, numbers_present AS numbersPresent,
         numbers_missing AS numbersMissing, whole, finding_count AS findingCount, findings
       FROM audit_hours AS a FINAL
       WHERE tenant = {tenant:String}
         AND a.hour >= toDateTime({from:UInt32}, 'UTC') AND a.hour < toDateTime({to:UInt32}, 'UTC')
       ORDER BY a.hour`,
      { tenant, from: Math.ceil(fromMs / 1000), to: Math.ceil(toMs / 1000) },
      { settings: SETTINGS },
    )
    return rows.map((row) => ({ ...row, whole: row.whole === 1 }))
  }

  /** End of the newest audited hour, whoever's; null before the first. */
  async auditedTo(): Promise<number | null> {
    const [row] = await this.#clickhouse.select<{ hours: number; last: number }>(
      `SELECT count() AS hours, toUnixTimestamp(max(hour)) * 1000 AS last
       FROM audit_hours WHERE tenant = {everybody:String}`,
      { everybody: EVERYBODY },
      { settings: SETTINGS },
    )
    return row === undefined || row.hours === 0 ? null : row.last + 3_600_000
  }
}
