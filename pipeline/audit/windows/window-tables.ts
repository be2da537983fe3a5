/** Reads rollup rows and raw samples of some series in a span of event time, series by series. */
import type { Clickhouse } from '../../../platform/clickhouse/clickhouse.ts'
import { tableTtlDays } from '../../../platform/clickhouse/table-ttl.ts'
import { DAY_MS } from '../../../schemas/telemetry.ts'
import { rollupTable } from '../../sinks/rollup-tables.ts'
import { forEachSample, SAMPLE_COLUMNS } from '../samples/sample-blocks.ts'
import type { RawSample, WindowRow } from './window-fold.ts'

const RESOLUTIONS_MS = [10_000, 60_000, 3_600_000, 86_400_000] as const
export type ResolutionMs = (typeof RESOLUTIONS_MS)[number]

export type SeriesSpan = Readonly<{
  tenant: string
  /** Decimal text. */
  series: readonly string[]
  fromMs: number
  toMs: number
}>

export const AUDIT_SETTINGS = {
  output_format_json_quote_64bit_integers: 0,
  // The work of others comes first.
  priority: 10,
  max_threads: 2,
  max_query_size: '10000000',
  max_execution_time: 600,
} as const

type RollupTuple = Readonly<{
  s: string
  t: number
  part: number
  vo: number
  n: readonly [number, number | null, number | null, number | null, number, number, number, number]
  x: readonly [string, string]
}>

/** Rows by series, in the order of time. */
export async function readRollups(
  clickhouse: Pick<Clickhouse, 'select'>,
  resolutionMs: ResolutionMs,
  span: SeriesSpan,
): Promise<Map<string, WindowRow[]>> {
  const rows = await clickhouse.select<RollupTuple>(
    `SELECT toString(series) AS s, toUnixTimestamp(w) * 1000 AS t, part,
       toFloat64(bitShiftRight(bitAnd(ver, 72057594037927935), 8)) AS vo,
       tuple(cnt, sum, mn, mx, first, last, toUnixTimestamp64Milli(first_ts),
         toUnixTimestamp64Milli(last_ts)) AS n,
       tuple(first_text, last_text) AS x
     FROM ${rollupTable(resolutionMs)} FINAL
     WHERE tenant = {tenant:String} AND series IN (${span.series.join(',')})
       AND w >= toDateTime(${span.fromMs / 1000}, 'UTC')
       AND w < toDateTime(${span.toMs / 1000}, 'UTC')
     ORDER BY series, w`,
    { tenant: span.tenant },
    { settings: AUDIT_SETTINGS },
  )
  const bySeries = new Map<string, WindowRow[]>(span.series.map((series) => [series, []]))
  for (const row of rows) bySeries.get(row.s)?.push(windowRow(row))
  return bySeries
}

function windowRow({ t, part, vo, n, x }: RollupTuple): WindowRow {
  const [count, sum, min, max, first, last, firstTsMs, lastTsMs] = n
  const [firstText, lastText] = x
  return {
    startMs: t,
    partition: part,
    versionOffset: vo,
    content: {
      ...{ count, sum: sum ?? NaN, min: min ?? NaN, max: max ?? NaN, first, last },
      ...{ firstTsMs, lastTsMs, firstText, lastText },
    },
  }
}

/** Visits samples series by series, each in the order of time. */
export async function readRaw(
  clickhouse: Pick<Clickhouse, 'selectNative'>,
  span: SeriesSpan,
  visit: (series: string, sample: RawSample) => void,
): Promise<void> {
  await clickhouse.selectNative(
    `SELECT ${SAMPLE_COLUMNS} FROM samples FINAL
     WHERE tenant = {tenant:String} AND series IN (${span.series.join(',')})
       AND ts >= fromUnixTimestamp64Milli(${span.fromMs}, 'UTC')
       AND ts < fromUnixTimestamp64Milli(${span.toMs}, 'UTC')
     ORDER BY series, ts`,
    { tenant: span.tenant },
    {
      settings: AUDIT_SETTINGS,
      onBlock: (block) => forEachSample(block, (row) => visit(row.series, row)),
    },
  )
}

/** Start of what each rollup table still keeps for sure, by its own TTL; -Infinity without one. */
export async function keptFromMs(
  clickhouse: Pick<Clickhouse, 'select'>,
  nowMs: number,
): Promise<ReadonlyMap<ResolutionMs, number>> {
  const ttlDays = await tableTtlDays(clickhouse)
  return new Map(
    RESOLUTIONS_MS.map((resolutionMs) => {
      const days = ttlDays.get(rollupTable(resolutionMs)) ?? Infinity
      return [resolutionMs, nowMs - (days - 1) * DAY_MS]
    }),
  )
}
