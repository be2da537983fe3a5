/** Goes through the numbers of each device in the range, hour by hour of their times. */
import type { Clickhouse } from '../../../platform/clickhouse/clickhouse.ts'
import { type AuditBooks, timeText } from '../hour-tally.ts'
import { hourOf } from '../log/log-cut.ts'
import { type NumberReport, NumberWitness } from './message-numbers.ts'
import { AUDIT_SETTINGS } from '../windows/window-tables.ts'

/** How far back the number before the first one of the range is looked for. */
const LOOKBACK_MS = 7 * 86_400_000

type Row = Readonly<{ q: string; d: string; n: number; t: number }>

/** The numbers of messages with a time in [fromMs, toMs), and of each device the one before. */
export async function auditNumbers(
  clickhouse: Pick<Clickhouse, 'selectChunks'>,
  books: AuditBooks,
  range: Readonly<{ fromMs: number; toMs: number; tenant: string | undefined }>,
): Promise<void> {
  const { fromMs, toMs, tenant } = range
  const ofTenant = tenant === undefined ? '' : 'tenant = {tenant:String} AND '
  const at = (ms: number): string => `fromUnixTimestamp64Milli(${ms}, 'UTC')`
  const text = `
    SELECT q, d, n, t FROM (
      SELECT tenant AS q, device AS d, toFloat64(seq) AS n, toUnixTimestamp64Milli(ts) AS t
      FROM message_numbers FINAL WHERE ${ofTenant} ts >= ${at(fromMs)} AND ts < ${at(toMs)}
      UNION ALL
      SELECT tenant AS q, device AS d, toFloat64(argMax(seq, (ts, seq))) AS n,
        toUnixTimestamp64Milli(max(ts)) AS t
      FROM message_numbers WHERE ${ofTenant} ts >= ${at(fromMs - LOOKBACK_MS)} AND ts < ${at(fromMs)}
      GROUP BY tenant, device
    ) ORDER BY q, d, t, n`
  const call = { settings: AUDIT_SETTINGS }
  let device: DeviceNumbers | undefined
  for await (const rows of clickhouse.selectChunks<Row>(text, { tenant: tenant ?? '' }, call)) {
    for (const { q, d, n, t } of rows) {
      if (device?.tenant !== q || device.device !== d) {
        device?.end(books)
        device = new DeviceNumbers(q, d, fromMs)
      }
      device.add(n, t)
    }
  }
  device?.end(books)
}

class DeviceNumbers {
  readonly tenant: string
  readonly device: string
  readonly #witness: NumberWitness
  readonly #presentByHour = new Map<number, number>()
  readonly #fromMs: number

  constructor(tenant: string, device: string, fromMs: number) {
    this.tenant = tenant
    this.device = device
    this.#fromMs = fromMs
    this.#witness = new NumberWitness(fromMs)
  }

  add(seq: number, tsMs: number): void {
    this.#witness.add({ seq, tsMs })
    if (tsMs < this.#fromMs) return
    const hour = hourOf(tsMs)
    this.#presentByHour.set(hour, (this.#presentByHour.get(hour) ?? 0) + 1)
  }

  end(books: AuditBooks): void {
    const report = this.#witness.end()
    for (const [hour, present] of this.#presentByHour) {
      books.tally(this.tenant, hour).numbersPresent += present
    }
    this.#reportGaps(books, report)
  }

  #reportGaps(books: AuditBooks, { gaps, missing, runs }: NumberReport): void {
    const { tenant, device } = this
    let told = 0
    for (const { first, last, beforeMs, afterMs } of gaps) {
      told += last - first + 1
      const hourMs = hourOf(afterMs)
      books.tally(tenant, hourMs).numbersMissing += last - first + 1
      const what = first === last ? `message ${first} is` : `messages ${first} to ${last} are`
      const text = `${device}: ${what} missing, between those of ${timeText(beforeMs)} and ${timeText(afterMs)}`
      books.add({ kind: 'number_missing', tenant, hourMs, text, expected: [first, last] })
    }
    const hourMs = hourOf(gaps.at(-1)?.afterMs ?? this.#fromMs)
    if (missing === told) return
    books.tally(tenant, hourMs).numbersMissing += missing - told
    const text = `${device}: ${missing - told} further messages are missing, in ${runs} runs`
    books.add({ kind: 'number_missing', tenant, hourMs, text })
  }
}
