/**
 * How long each table keeps its rows. Raw rows are the source of every correction, and minutes and
 * hours that of hours and days: what is read from must never be the first to forget. So the order
 * of TABLES is the order in which rows are given a longer time, and in reverse a shorter one; whoever
 * is interrupted on the way has kept too much.
 */
import { Clickhouse, type ClickhouseOptions } from '../platform/clickhouse/clickhouse.ts'
import { setTableTtlDays, tableTtlDays } from '../platform/clickhouse/table-ttl.ts'

export type RetentionDays = Readonly<{
  raw: number
  rollup10s: number
  rollup1m: number
  rollup1h: number
  rollup1d: number
}>

/** `days` was Infinity where a table kept its rows for ever. */
export type RetentionChange = Readonly<{ table: string; days: number; before: number }>

const TABLES: readonly Readonly<{ table: string; time: string; days: keyof RetentionDays }>[] = [
  { table: 'rollup_1d', time: 'w', days: 'rollup1d' },
  { table: 'rollup_1h', time: 'w', days: 'rollup1h' },
  { table: 'rollup_1m', time: 'w', days: 'rollup1m' },
  { table: 'rollup_10s', time: 'w', days: 'rollup10s' },
  { table: 'message_numbers', time: 'toDateTime(ts)', days: 'raw' },
  { table: 'samples', time: 'toDateTime(ts)', days: 'raw' },
]

/**
 * Gives the tables their retention: `longer` where it grows, `shorter` where it shrinks. Nothing is
 * touched that is right already. Resolves with what changed.
 */
export async function setRetention(
  options: ClickhouseOptions,
  wanted: RetentionDays,
  direction: 'longer' | 'shorter',
): Promise<readonly RetentionChange[]> {
  const clickhouse = new Clickhouse(options)
  try {
    const found = await tableTtlDays(clickhouse)
    const changes: RetentionChange[] = []
    for (const { table, time, days: name } of direction === 'longer'
      ? TABLES
      : TABLES.toReversed()) {
      const before = found.get(table) ?? Infinity
      const days = wanted[name]
      if (days === before || days > before !== (direction === 'longer')) continue
      await setTableTtlDays(clickhouse, table, { time, days })
      changes.push({ table, days, before })
    }
    return changes
  } finally {
    await clickhouse.close()
  }
}
