/** Reads the raw table by where its rows say they come from. */
import type { Clickhouse } from '../../../platform/clickhouse/clickhouse.ts'
import type { NativeColumns } from '../../../platform/clickhouse/native-reader.ts'
import type { OffsetSpan } from '../log/log-range.ts'
import { forEachSample, SAMPLE_COLUMNS } from './sample-blocks.ts'
import type { OpenSample, StoredSample } from './slice.ts'
import { AUDIT_SETTINGS } from '../windows/window-tables.ts'

/** Origins and, where given, event times (both ends included) of the rows that are wanted. */
export type Origins = Readonly<{
  spans: ReadonlyMap<number, OffsetSpan>
  tenant: string | undefined
  fromTsMs?: number
  toTsMs?: number
}>

/** Rows that stand (FINAL) and name one of these records as their origin. */
export async function readByOrigin(
  clickhouse: Pick<Clickhouse, 'selectNative'>,
  of: Origins,
  visit: (row: StoredSample) => void,
): Promise<void> {
  const condition = originsOf(of)
  if (condition === undefined) return
  const { fromTsMs, toTsMs, tenant = '' } = of
  const times =
    fromTsMs === undefined || toTsMs === undefined
      ? ''
      : `AND ts >= fromUnixTimestamp64Milli(${fromTsMs}, 'UTC')
         AND ts <= fromUnixTimestamp64Milli(${toTsMs}, 'UTC')`
  const text = `SELECT ${SAMPLE_COLUMNS} FROM samples FINAL WHERE ${condition} ${times}`
  const onBlock = (block: NativeColumns): void => forEachSample(block, visit)
  await clickhouse.selectNative(text, { tenant }, { settings: AUDIT_SETTINGS, onBlock })
}

/** How many rows stand that name one of these records, whatever their event time. */
export async function countByOrigin(
  clickhouse: Pick<Clickhouse, 'select'>,
  of: Origins,
): Promise<number> {
  const condition = originsOf(of)
  if (condition === undefined) return 0
  const [row] = await clickhouse.select<{ n: number }>(
    `SELECT toFloat64(count()) AS n FROM samples FINAL WHERE ${condition}`,
    { tenant: of.tenant ?? '' },
    { settings: AUDIT_SETTINGS },
  )
  return row?.n ?? 0
}

/** The rows of some samples by key, whatever record they come from; of one tenant. */
export async function readByKey(
  clickhouse: Pick<Clickhouse, 'selectNative'>,
  tenant: string,
  samples: readonly OpenSample[],
): Promise<ReadonlyMap<string, StoredSample>> {
  const series = new Set(samples.map((each) => each.series.id))
  const times = samples.map((each) => each.tsMs)
  const pairs = samples.map((each) => `(${each.series.id},${each.tsMs})`)
  const found = new Map<string, StoredSample>()
  await clickhouse.selectNative(
    `SELECT ${SAMPLE_COLUMNS} FROM samples FINAL
     WHERE tenant = {tenant:String} AND series IN (${[...series].join(',')})
       AND ts >= fromUnixTimestamp64Milli(${times.reduce((a, b) => Math.min(a, b))}, 'UTC')
       AND ts <= fromUnixTimestamp64Milli(${times.reduce((a, b) => Math.max(a, b))}, 'UTC')
       AND (series, toUnixTimestamp64Milli(ts)) IN (${pairs.join(',')})`,
    { tenant },
    {
      settings: AUDIT_SETTINGS,
      onBlock: (block) =>
        forEachSample(block, (row) => found.set(keyOf(row.series, row.tsMs), row)),
    },
  )
  return found
}

export const keyOf = (series: string, tsMs: number): string => `${series} ${tsMs}`

/**
 * Windows of both folded tables that a record of [fromMs, toMs) corrected last, by tenant and hour
 * of that record; among the windows of some days of event time, as YYYYMMDD.
 */
export async function readCorrected(
  clickhouse: Pick<Clickhouse, 'select'>,
  range: Readonly<{ fromMs: number; toMs: number }>,
  days: readonly string[],
): Promise<readonly Readonly<{ tenant: string; hourMs: number; n: number }>[]> {
  if (days.length === 0) return []
  const ofTable = (table: string): string =>
    `SELECT tenant, corrected_at FROM ${table} FINAL
     WHERE toYYYYMMDD(w) IN (${days.join(',')})
       AND corrected_at >= fromUnixTimestamp64Milli(${range.fromMs}, 'UTC')
       AND corrected_at < fromUnixTimestamp64Milli(${range.toMs}, 'UTC')`
  return clickhouse.select(
    `SELECT tenant, toFloat64(intDiv(toUnixTimestamp(corrected_at), 3600)) * 3600000 AS hourMs,
       toFloat64(count()) AS n
     FROM (${ofTable('rollup_10s')} UNION ALL ${ofTable('rollup_1m')}) GROUP BY tenant, hourMs`,
    {},
    { settings: AUDIT_SETTINGS },
  )
}

/** Names of series that no record of the range told. */
export async function readSeriesNames(
  clickhouse: Pick<Clickhouse, 'select'>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, { device: string; metric: string; kind: string }>> {
  if (ids.length === 0) return new Map()
  type Name = { id: string; tenant: string; device: string; metric: string; kind: string }
  const rows = await clickhouse.select<Name>(
    `SELECT DISTINCT toString(series) AS id, tenant, device, metric, kind FROM series
     WHERE series IN (${ids.join(',')}) LIMIT 10000`,
    {},
    { settings: AUDIT_SETTINGS },
  )
  return new Map(
    rows.map(({ id, tenant, device, metric, kind }) => [
      `${tenant}/${id}`,
      { device, metric, kind },
    ]),
  )
}

function originsOf({ spans, tenant }: Origins): string | undefined {
  const terms = [...spans]
    .filter(([, { from, to }]) => from < to)
    .map(([partition, { from, to }]) => `(part = ${partition} AND off >= ${from} AND off < ${to})`)
  if (terms.length === 0) return undefined
  const ofTenant = tenant === undefined ? '' : 'tenant = {tenant:String} AND '
  return `${ofTenant}(${terms.join(' OR ')})`
}
