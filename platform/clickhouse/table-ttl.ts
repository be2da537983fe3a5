/**
 * For how long tables keep their rows, asked of the tables themselves: whoever changed it there has
 * changed it. Only TTLs of the form `time + INTERVAL n DAY` are known here.
 */
import { type Clickhouse, quoted } from './clickhouse.ts'

/** Days by table of the database. A table without a TTL keeps its rows for ever: Infinity. */
export async function tableTtlDays(
  clickhouse: Pick<Clickhouse, 'select'>,
): Promise<ReadonlyMap<string, number>> {
  const rows = await clickhouse.select<{ name: string; engine_full: string }>(
    'SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()',
  )
  return new Map(rows.map(({ name, engine_full }) => [name, daysIn(engine_full)]))
}

/**
 * Rows of the table expire this many days after `time`, an expression of type Date or DateTime.
 * Returns when new rows obey; older parts are brought up to date in the background.
 */
export async function setTableTtlDays(
  clickhouse: Pick<Clickhouse, 'command'>,
  table: string,
  ttl: Readonly<{ time: string; days: number }>,
): Promise<void> {
  const days = Math.trunc(ttl.days)
  await clickhouse.command(
    `ALTER TABLE ${quoted(table)} MODIFY TTL ${ttl.time} + INTERVAL ${days} DAY`,
  )
}

/** ClickHouse spells `INTERVAL 90 DAY` as toIntervalDay(90). */
function daysIn(engine: string): number {
  const days = /\bTTL\b.*\+ toIntervalDay\((?<days>\d+)\)/.exec(engine)?.groups?.['days']
  return days === undefined ? Infinity : Number(days)
}
