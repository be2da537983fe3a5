/** Rows as the pipeline writes them, put into ClickHouse by tests. */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'

export type SeriesRow = Readonly<{
  tenant: string
  device: string
  metric: string
  kind: 'number' | 'boolean' | 'text'
  /** Decimal text: ids are 64 bits. */
  series: string
}>
export type SampleRow = Readonly<{
  tenant: string
  series: string
  atMs: number
  value?: number
  text?: string
  inv?: number
  partition?: number
  offset?: number
  flags?: number
  shift?: number
}>
export type RollupRow = Readonly<{
  tenant: string
  series: string
  startMs: number
  count: number
  sum: number
  min: number
  max: number
  first: number
  last: number
  firstTs: number
  lastTs: number
  m2?: number
  integral?: number
  firstText?: string
  lastText?: string
  sketch?: ReadonlyMap<number, number>
  final?: boolean
  correctedAt?: number
  version: number
}>

export const insertSeries = (clickhouse: Clickhouse, rows: readonly SeriesRow[]): Promise<void> =>
  insert(clickhouse, 'series', rows)

export function insertSamples(clickhouse: Clickhouse, rows: readonly SampleRow[]): Promise<void> {
  const stored = rows.map((row) => ({
    tenant: row.tenant,
    series: row.series,
    ts: seconds(row.atMs),
    value: row.value ?? 0,
    text: row.text ?? '',
    inv: row.inv ?? 1,
    part: row.partition ?? 0,
    off: row.offset ?? 0,
    flags: row.flags ?? 0,
    shift: row.shift ?? 0,
  }))
  return insert(clickhouse, 'samples', stored)
}

export function insertRollups(
  clickhouse: Clickhouse,
  table: 'rollup_10s' | 'rollup_1m' | 'rollup_1h' | 'rollup_1d',
  rows: readonly RollupRow[],
): Promise<void> {
  const stored = rows.map((row) => ({
    tenant: row.tenant,
    series: row.series,
    w: row.startMs / 1000,
    cnt: row.count,
    sum: row.sum,
    mn: row.min,
    mx: row.max,
    first: row.first,
    last: row.last,
    first_ts: seconds(row.firstTs),
    last_ts: seconds(row.lastTs),
    m2: row.m2 ?? 0,
    integral: row.integral ?? 0,
    sketch: Object.fromEntries(row.sketch ?? []),
    first_text: row.firstText ?? '',
    last_text: row.lastText ?? '',
    final: row.final === true ? 1 : 0,
    ...(row.correctedAt === undefined ? {} : { corrected_at: seconds(row.correctedAt) }),
    ver: row.version,
  }))
  return insert(clickhouse, table, stored)
}

async function insert(
  clickhouse: Clickhouse,
  table: string,
  rows: readonly object[],
): Promise<void> {
  if (rows.length === 0) return
  const lines = rows.map((row) => JSON.stringify(row)).join('\n')
  await clickhouse.command(
    `INSERT INTO ${table} FORMAT JSONEachRow\n${lines}`,
    {},
    {
      settings: { async_insert: 0 },
    },
  )
}

/** A DateTime64(3) as text: a bare number would be taken for ticks. */
const seconds = (ms: number): string => (ms / 1000).toFixed(3)
