/**
 * What ClickHouse knows of a device: samples, rollups, newest values. Every statement names the
 * tenant, every value travels as a `{name:Type}` parameter, and FINAL collapses the versions of a
 * row. Partitions are days of the sort key's own time, so they can be collapsed one by one.
 */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { LatestValue, Resolution, Rollup, Value } from '../contract/resources.ts'
import { LIMITS } from '../limits.ts'
import { resolutionMs, sourceOf } from './resolution.ts'
import { type MergedRow, withFinality } from './rollup-finality.ts'

/** What this file needs of the ClickHouse client. */
export type Selecting = Pick<Clickhouse, 'select'>

export type SeriesKind = 'number' | 'boolean' | 'text'
export type SeriesRef = Readonly<{
  device: string
  metric: string
  kind: SeriesKind
  series: string
}>
export type SpanMs = Readonly<{ fromMs: number; toMs: number }>
/** Where a page of readings begins: after this time and series. */
export type ReadingPosition = Readonly<{ atMs: number; series: string }>
export type ReadingRow = Readonly<{ at: number; value: Value; series: string }>
export type NewestRow = Readonly<{ device: string; metric: string }> & LatestValue

/** Numbers as numbers: the one id that would not fit is selected as text. */
const SETTINGS = {
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

type SampleRow = { series: string; at: number; value: number; text: string }

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
      `SELECT toString(series) AS series, toUnixTimestamp64Milli(ts) AS at, value, text
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
      at: row.at,
      value: valueOf(kinds.get(row.series) ?? 'number', row.value, row.text),
      series: row.series,
    }))
  }

  /** Windows of one series that start in [from, to), in order; at most `limit`. */
  async rollups(
    tenant: string,
    of: SeriesRef,
    ask: SpanMs & Readonly<{ resolution: Resolution; limit: number }>,
  ): Promise<readonly Rollup[]> {
    const windowMs = resolutionMs(ask.resolution)
    const { table, rowMs } = sourceOf(ask.resolution)
    // Whole windows: the rows of every window that starts in the span, even those after its end.
    const from = Math.ceil(ask.fromMs / windowMs) * windowMs
    const to = Math.ceil(ask.toMs / windowMs) * windowMs
    const rows = await this.#select<MergedRow>(mergedRowsQuery(table), {
      tenant,
      series: of.series,
      from: from / 1000,
      to: Math.min(to, LIMITS.timeMsMax) / 1000,
      windowSeconds: windowMs / 1000,
      limit: ask.limit,
    })
    return withFinality(rows, { windowMs, rowMs }).map((row) => rollupOf(of.kind, row))
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
      `SELECT device, metric, kind, series, at, value, text FROM
         (SELECT series, toUnixTimestamp64Milli(max(last_ts)) AS at,
            argMax(last, last_ts) AS value, argMax(last_text, last_ts) AS text
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
    return this.#database.select<Row>(query, parameters, { settings: SETTINGS })
  }
}

const NEWEST_SAMPLES = `
  SELECT toString(series) AS series, toUnixTimestamp64Milli(ts) AS at, value, text
  FROM samples FINAL
  WHERE tenant = {tenant:String} AND series IN {series:Array(UInt64)}
    AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
  ORDER BY samples.series DESC, samples.ts DESC LIMIT 1 BY samples.series`

/** For what has been silent for long: minute rows know the last sample, and are far fewer. */
const NEWEST_MINUTES = `
  SELECT toString(series) AS series, toUnixTimestamp64Milli(max(last_ts)) AS at,
    argMax(last, last_ts) AS value, argMax(last_text, last_ts) AS text
  FROM rollup_1m FINAL
  WHERE tenant = {tenant:String} AND rollup_1m.series IN {series:Array(UInt64)}
  GROUP BY series`

const AFTER = `AND (samples.ts, samples.series) >
  (fromUnixTimestamp64Milli({afterAt:Int64}, 'UTC'), {afterSeries:UInt64})`

/** Merging is exact: sums add, extremes compare, first and last go by their own times. */
const mergedRowsQuery = (table: string): string => `
  SELECT
    toUnixTimestamp(w) - toUnixTimestamp(w) % {windowSeconds:UInt32} AS startSeconds,
    sum(cnt) AS count, sum(r.sum) AS sum, min(mn) AS min, max(mx) AS max,
    argMin(r.first, (first_ts, w)) AS first, argMax(r.last, (last_ts, w)) AS last,
    argMin(first_text, (first_ts, w)) AS firstText, argMax(last_text, (last_ts, w)) AS lastText,
    min(r.final) AS allFinal, max(if(r.final = 1, toUnixTimestamp(w), 0)) AS lastFinalSeconds,
    max(ver) AS version
  FROM ${table} AS r FINAL
  WHERE tenant = {tenant:String} AND series = {series:UInt64}
    AND w >= toDateTime({from:UInt32}, 'UTC') AND w < toDateTime({to:UInt32}, 'UTC')
  GROUP BY startSeconds ORDER BY startSeconds LIMIT {limit:UInt32}`

/** An Array(UInt64) as text: the ids are too large for a JavaScript number. */
const idsOf = (of: readonly SeriesRef[]): string => `[${of.map((one) => one.series).join(',')}]`

/** A value in the type that the device used. Booleans are kept as 0 and 1. */
export function valueOf(kind: SeriesKind, value: number, text: string): Value {
  switch (kind) {
    case 'number':
      return value
    case 'boolean':
      return value !== 0
    case 'text':
      return text
  }
}

const newestOf = (ref: SeriesRef, row: SampleRow): NewestRow => ({
  device: ref.device,
  metric: ref.metric,
  value: valueOf(ref.kind, row.value, row.text),
  at: row.at,
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

function rollupOf(kind: SeriesKind, row: MergedRow & Readonly<{ final: boolean }>): Rollup {
  const counted = kind !== 'text'
  return {
    start: row.startSeconds * 1000,
    count: row.count,
    sum: counted ? row.sum : null,
    min: counted ? row.min : null,
    max: counted ? row.max : null,
    mean: counted && row.sum !== null ? row.sum / row.count : null,
    first: valueOf(kind, row.first, row.firstText),
    last: valueOf(kind, row.last, row.lastText),
    final: row.final,
    version: row.version,
  }
}
