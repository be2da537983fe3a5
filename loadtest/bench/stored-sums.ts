/** Whether the tables hold exactly what was preloaded. A run with a wrong count or sum is void. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { type ClickHousePlace, queryRows } from '../clickhouse-query.ts'
import type { Preloaded } from './telemetry-fleet.ts'

const TABLES = [
  { table: 'samples', resolutionMs: 0, sql: 'toFloat64(count()), toFloat64(count()), sum(value)' },
  { table: 'rollup_10s', resolutionMs: 10_000, sql: 'toFloat64(count()), toFloat64(sum(cnt)), sum(sum)' },
  { table: 'rollup_1m', resolutionMs: 60_000, sql: 'toFloat64(count()), toFloat64(sum(cnt)), sum(sum)' },
] as const // prettier-ignore

const QUIET_MS = 1_000
const POLL_MS = 100
const MERGES_LIMIT_MS = 120_000

/** Rows, samples and sum of raw rows and of each resolution. */
export async function requireExactSums(place: ClickHousePlace, loaded: Preloaded): Promise<void> {
  for (const { table, resolutionMs, sql } of TABLES) {
    const rows = resolutionMs === 0 ? loaded.samples : (loaded.windows.get(resolutionMs) ?? 0)
    const [found = []] = await queryRows(place, { sql: `SELECT ${sql} FROM ${table} FINAL` })
    const wanted = [rows, loaded.samples, loaded.sum]
    if (wanted.every((value, index) => value === found[index])) continue
    throw new Failure(
      'internal',
      `void: ${table} has rows, samples, sum ${found.join(', ')}, not ${wanted.join(', ')}`,
    )
  }
}

/** Resolves when ClickHouse has not merged parts of these tables for a while. */
export async function mergesEnded({ url, database }: ClickHousePlace): Promise<void> {
  const endMs = systemClock.monotonicMs() + MERGES_LIMIT_MS
  let quietSinceMs = systemClock.monotonicMs()
  for (;;) {
    const [row = []] = await queryRows(
      { url, database: 'default' },
      {
        sql: 'SELECT toUInt32(count()) FROM system.merges WHERE database = {database:String}',
        parameters: { database },
      },
    )
    const nowMs = systemClock.monotonicMs()
    if (row[0] !== 0) quietSinceMs = nowMs
    if (nowMs - quietSinceMs >= QUIET_MS) return
    if (nowMs > endMs) throw new Failure('unavailable', 'ClickHouse merges without end')
    await sleep(POLL_MS)
  }
}
