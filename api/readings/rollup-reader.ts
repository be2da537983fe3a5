/**
 * Windows of one series at any resolution, from the coarsest table whose rows divide them. An hour
 * or a day is stored when it has ended: where a table has no row, rows of the next finer one are
 * merged by the law of schemas/window-merge.ts, which is the one the pipeline merges by. So a hole
 * costs a look at the index where nothing was measured, and is filled where it is not stored yet.
 */
import {
  emptyWindowState,
  mergeInto,
  type WindowPart,
  type WindowState,
} from '../../schemas/window-merge.ts'
import type { Resolution } from '../contract/resources.ts'
import { LIMITS } from '../limits.ts'
import type { Retention } from './retention.ts'
import { resolutionMs, type RollupTable, sourcesOf } from './resolution.ts'
import type { Revision } from './rollup-item.ts'
import { asPart, columnsOf, type StoredRow } from './stored-row.ts'
import { QUERY_SETTINGS, type Selecting, type SeriesRef, type SpanMs } from './telemetry-reader.ts'
import { holesIn, joined } from './time-spans.ts'

export type MergedWindow = Revision & Readonly<{ part: WindowPart }>

export type RollupAsk = SpanMs &
  Readonly<{
    resolution: Resolution
    /** Windows: as soon as there are this many, the rest may be left out. */
    limit: number
    /** Whether percentiles will be asked of the windows. */
    sketches: boolean
  }>

/** Conditions of one question; more holes are joined across rows that are known already. */
const SPANS_PER_QUESTION = 32

type SourceRow = Readonly<{ startMs: number; rowMs: number; row: StoredRow }>

export class RollupReader {
  readonly #database: Selecting
  readonly #retention: Retention

  constructor(database: Selecting, retention: Retention) {
    this.#database = database
    this.#retention = retention
  }

  /** The time before which windows of each resolution have expired. */
  async expiries(): Promise<(resolution: Resolution) => number> {
    const horizonOf = await this.#retention.horizons()
    return (resolution) => horizonOf(sourcesOf(resolution)[0].table)
  }

  /** Windows that start in [from, to), in order. None of them is made of a part of its rows. */
  async windows(tenant: string, of: SeriesRef, ask: RollupAsk): Promise<readonly MergedWindow[]> {
    const windowMs = resolutionMs(ask.resolution)
    const rows = await this.#rows(tenant, of, ask)
    return merged(rows, windowMs).slice(0, ask.limit)
  }

  async #rows(tenant: string, of: SeriesRef, ask: RollupAsk): Promise<readonly SourceRow[]> {
    const windowMs = resolutionMs(ask.resolution)
    const horizonOf = await this.#retention.horizons()
    // Whole windows: the rows of every window that starts in the span, even those after its end.
    const fromMs = aligned(ask.fromMs, windowMs)
    const toMs = Math.min(aligned(ask.toMs, windowMs), LIMITS.timeMsMax)
    let holes: readonly SpanMs[] = fromMs < toMs ? [{ fromMs, toMs }] : []
    const found: SourceRow[] = []
    const covered: ((startMs: number) => boolean)[] = []
    for (const source of sourcesOf(ask.resolution)) {
      const spans = clipped(holes, aligned(horizonOf(source.table), windowMs))
      if (spans.length === 0) continue
      const rowsMax = ask.limit * (windowMs / source.rowMs)
      const stored = await this.#stored(tenant, of, { source, spans, rowsMax, ...ask })
      const rows = stored.filter(({ startMs }) => !covered.some((covers) => covers(startMs)))
      found.push(...rows)
      const starts = rows.map(({ startMs }) => startMs)
      holes = holesIn(spans, starts, source.rowMs)
      const known = new Set(starts)
      covered.push((startMs) => known.has(startMs - (startMs % source.rowMs)))
    }
    return found.sort((a, b) => a.startMs - b.startMs)
  }

  async #stored(
    tenant: string,
    of: SeriesRef,
    ask: Readonly<{
      source: RollupTable
      spans: readonly SpanMs[]
      rowsMax: number
      sketches: boolean
    }>,
  ): Promise<readonly SourceRow[]> {
    const { source, rowsMax, sketches } = ask
    const spans = joined(ask.spans, SPANS_PER_QUESTION)
    const bounds = spans.flatMap(({ fromMs, toMs }, at) => [
      [`from${at}`, fromMs / 1000],
      [`to${at}`, toMs / 1000],
    ])
    const within = spans.map(
      (_, at) =>
        `w >= toDateTime({from${at}:UInt32}, 'UTC') AND w < toDateTime({to${at}:UInt32}, 'UTC')`,
    )
    const rows = await this.#database.select<StoredRow>(
      `SELECT ${columnsOf({ kind: of.kind, sketches })} FROM ${source.table} FINAL
       WHERE tenant = {tenant:String} AND series = {series:UInt64} AND (${within.join(' OR ')})
       ORDER BY w LIMIT {rowsMax:UInt64}`,
      { tenant, series: of.series, rowsMax, ...Object.fromEntries(bounds) },
      { settings: QUERY_SETTINGS },
    )
    const { rowMs } = source
    return rows.map((row) => ({ startMs: row.startSeconds * 1000, rowMs, row }))
  }
}

const aligned = (ms: number, sizeMs: number): number => Math.ceil(ms / sizeMs) * sizeMs

/** What of these spans is not before `fromMs`. */
const clipped = (spans: readonly SpanMs[], fromMs: number): readonly SpanMs[] =>
  spans
    .filter(({ toMs }) => toMs > fromMs)
    .map((span) => ({ fromMs: Math.max(span.fromMs, fromMs), toMs: span.toMs }))

type Group = { -readonly [K in keyof Revision]: Revision[K] } & { readonly state: WindowState }

/**
 * Rows in order, made into windows. Whether a window can still change: that its rows are final is
 * not enough, because a minute in which the device said nothing has no row, and may still get its
 * first one. A final row is the proof that event time has passed its end, for the whole partition.
 */
function merged(rows: readonly SourceRow[], windowMs: number): readonly MergedWindow[] {
  const groups: Group[] = []
  let closedToMs = 0
  for (const { startMs, rowMs, row } of rows) {
    const windowStartMs = startMs - (startMs % windowMs)
    let group = groups.at(-1)
    if (group === undefined || group.startMs !== windowStartMs) {
      const state = emptyWindowState()
      group = { startMs: windowStartMs, state, final: true, correctedAtMs: 0, version: 0 }
      groups.push(group)
    }
    mergeInto(group.state, asPart(row))
    const isFinal = row.final === 1
    group.final &&= isFinal
    group.correctedAtMs = Math.max(group.correctedAtMs, row.correctedMs)
    group.version = Math.max(group.version, row.ver)
    if (isFinal) closedToMs = Math.max(closedToMs, startMs + rowMs)
  }
  return groups.map(({ state, final, ...rest }) => ({
    ...rest,
    part: state,
    final: final && rest.startMs + windowMs <= closedToMs,
  }))
}
