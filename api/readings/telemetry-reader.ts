/**
 * What ClickHouse knows of a device: its series, samples, newest values. Every statement names the
 * tenant, every value travels as a `{name:Type}` parameter, and FINAL collapses the versions of a
 * row. Partitions are days of the sort key's own time, so they can be collapsed one by one.
 */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'
import type { LatestValue, Reading } from '../contract/resources.ts'
import { LIMITS } from '../limits.ts'
import { valueOf } from './rollup-item.ts'

/** What this file needs of the ClickHouse client. */
export type Selecting = Pick<Clickhouse, 'select'>

export type SeriesRef = Readonly<{
  device: string
  metric: string
  kind: SeriesKind
  series: string
}>
export type SpanMs = Readonly<{ fromMs: number; toMs: number }>
/** Where a page of readings begins: after this time and series. */
export type ReadingPosition = Readonly<{ atMs: number; series: string }>
export type ReadingRow = Readonly<{ reading: Reading; series: string }>
type NewestRow = Readonly<{ device: string; metric: string }> & LatestValue

/** Numbers as numbers: the one id that would not fit is selected as text. */
export const QUERY_SETTINGS = {
  do_not_merge_across_partitions_select_final: 1,
  max_execution_time: LIMITS.querySecondsMax,
  output_format_json_quote_64bit_integers: 0,
}

/** Parameters travel in the address, whose length servers limit. */
const SERIES_PER_QUESTION = 1_000
const DEVICES_PER_QUESTION = 100

const HOUR_MS = 3_600_000
/** Newest values are searched backwards in steps: an active device is found in the first. */
const FLEET_LOOKBACK_MS = 24 * HOUR_MS
const LOOKBACKS_MS = [HOUR_MS, 24 * HOUR_MS, 30 * 24 * HOUR_MS]

type SampleRow = { series: string; at: number; value: number; text: string; shift: number }

export class TelemetryReader {
  readonly #database: Selecting

  constructor(database: Selecting) {
    this.#database = database
  }

  /** The series of some devices; of all metrics unless one is named. */
  async series(
    tenant: string,
    devices: readonly string[],
    metric?: string,
  ): Promise<readonly SeriesRef[]> {
    const found: SeriesRef[] = []
    for (let at = 0; at < devices.length; at += DEVICES_PER_QUESTION) {
      const some = devices.slice(at, at + DEVICES_PER_QUESTION)
      const rows = await this.#select<SeriesRef>(
        `SELECT DISTINCT device, metric, kind, toString(series) AS series FROM series
         WHERE tenant = {tenant:String} AND device IN {devices:Array(String)}
           ${metric === undefined ? '' : 'AND metric = {metric:String}'}
         ORDER BY device, metric, kind LIMIT {rowsMax:UInt32}`,
        { tenant, devices: some, metric: metric ?? '', rowsMax: LIMITS.liveSnapshotItemsMax },
      )
      found.push(...rows)
    }
    return found
  }

  /** Samples of the given series in [from, to), oldest first. */
  async readings(
    tenant: string,
    of: readonly SeriesRef[],
    page: SpanMs & Readonly<{ after: ReadingPosition | undefined; limit: number }>,
  ): Promise<readonly ReadingRow[]> {
    const after = page.after ?? { atMs: page.fromMs, series: '0' }
    const rows = await this.#select<SampleRow>(
      `SELECT toString(series) AS series, toUnixTimestamp64Milli(ts) AS at, value, text, shift
       FROM samples FINAL
       WHERE tenant = {tenant:String} AND series IN {series:Array(UInt64)}
         AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
         AND ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
         ${page.after === undefined ? '' : AFTER}
       ORDER BY samples.ts, samples.series LIMIT {limit:UInt32}`,
      {
        tenant,
        series: idsOf(of),
        from: Math.max(page.fromMs, after.atMs),
        to: page.toMs,
        afterAt: after.atMs,
        afterSeries: after.series,
        limit: page.limit,
      },
    )
    const kinds = new Map(of.map((one) => [one.series, one.kind]))
    return rows.map((row) => ({
      reading: readingOf(kinds.get(row.series) ?? 'number', row),
      series: row.series,
    }))
  }

  /** The newest sample of every given series, by event time. `nowMs` only bounds the search. */
  async newest(
    tenant: string,
    of: readonly SeriesRef[],
    nowMs: number,
  ): Promise<readonly NewestRow[]> {
    const found: NewestRow[] = []
    for (let at = 0; at < of.length; at += SERIES_PER_QUESTION) {
      const some = of.slice(at, at + SERIES_PER_QUESTION)
      found.push(...(await this.#newestOfSome(tenant, some, nowMs)))
    }
    return newestPerMetric(found)
  }

  async #newestOfSome(
    tenant: string,
    of: readonly SeriesRef[],
    nowMs: number,
  ): Promise<readonly NewestRow[]> {
    const missing = new Map(of.map((one) => [one.series, one]))
    const found: NewestRow[] = []
    const take = (rows: readonly SampleRow[]): void => {
      for (const row of rows) {
        const ref = missing.get(row.series)
        if (ref !== undefined) found.push(newestOf(ref, row))
        missing.delete(row.series)
      }
    }
    for (const lookbackMs of LOOKBACKS_MS) {
      if (missing.size === 0) return found
      const series = idsOf([...missing.values()])
      const from = Math.max(0, Math.floor(nowMs - lookbackMs))
      take(await this.#select<SampleRow>(NEWEST_SAMPLES, { tenant, series, from }))
    }
    if (missing.size === 0) return found
    const series = idsOf([...missing.values()])
    take(await this.#select<SampleRow>(NEWEST_MINUTES, { tenant, series }))
    return found
  }

  /**
   * The newest values of a whole tenant, from the last day's minute rows: a look at every sample
   * of a large fleet would keep the database busy for long.
   */
  async newestOfFleet(tenant: string, nowMs: number): Promise<readonly NewestRow[]> {
    const rows = await this.#select<SampleRow & SeriesRef>(
      `SELECT device, metric, kind, series, at, value, text, shift FROM
         (SELECT series, toUnixTimestamp64Milli(max(last_ts)) AS at,
            argMax(last, last_ts) AS value, argMax(last_text, last_ts) AS text, 0 AS shift
          FROM rollup_1m FINAL
          WHERE tenant = {tenant:String} AND w >= toDateTime({from:UInt32}, 'UTC')
          GROUP BY series) AS newest
       INNER JOIN
         (SELECT DISTINCT device, metric, kind, series FROM series
          WHERE tenant = {tenant:String}) AS names USING series
       ORDER BY at DESC LIMIT {rowsMax:UInt32}`,
      {
        tenant,
        from: Math.max(0, Math.floor((nowMs - FLEET_LOOKBACK_MS) / 1000)),
        rowsMax: LIMITS.liveSnapshotItemsMax,
      },
    )
    return newestPerMetric(rows.map((row) => newestOf(row, row)))
  }

  async #select<Row>(query: string, parameters: Record<string, unknown>): Promise<readonly Row[]> {
    return this.#database.select<Row>(query, parameters, { settings: QUERY_SETTINGS })
  }
}

const NEWEST_SAMPLES = `
  SELECT toString(series) AS series, toUnixTimestamp64Milli(ts) AS at, value, text, shift
  FROM samples FINAL
  WHERE tenant = {tenant:String} AND series IN {series:Array(UInt64)}
    AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
  ORDER BY samples.series DESC, samples.ts DESC LIMIT 1 BY samples.series`

/** For what has been silent for long: minute rows know the last sample, and are far fewer. */
const NEWEST_MINUTES = `
  SELECT toString(series) AS series, toUnixTimestamp64Milli(max(last_ts)) AS at,
    argMax(last, last_ts) AS value, argMax(last_text, last_ts) AS text, 0 AS shift
  FROM rollup_1m FINAL
  WHERE tenant = {tenant:String} AND rollup_1m.series IN {series:Array(UInt64)}
  GROUP BY series`

const AFTER = `AND (samples.ts, samples.series) >
  (fromUnixTimestamp64Milli({afterAt:Int64}, 'UTC'), {afterSeries:UInt64})`

/** An Array(UInt64) as text: the ids are too large for a JavaScript number. */
const idsOf = (of: readonly SeriesRef[]): string => `[${of.map((one) => one.series).join(',')}]`

/** A restamped message says what time the device had claimed; minute rows do not know it. */
const readingOf = (kind: SeriesKind, { value, text, at, shift }: SampleRow): Reading => ({
  value: valueOf(kind, value, text),
  at,
  ...(shift === 0 ? {} : { deviceAt: at + shift }),
})

const newestOf = (ref: SeriesRef, row: SampleRow): NewestRow => ({
  device: ref.device,
  metric: ref.metric,
  ...readingOf(ref.kind, row),
})

/** A metric whose type changed has several series; the newest of them speaks for it. */
function newestPerMetric(rows: readonly NewestRow[]): readonly NewestRow[] {
  const newest = new Map<string, NewestRow>()
  for (const row of rows) {
    const key = `${row.device}/${row.metric}`
    const known = newest.get(key)
    if (known === undefined || row.at > known.at) newest.set(key, row)
  }
  return [...newest.values()]
}
