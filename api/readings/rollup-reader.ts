/**
 * Windows of one series at any resolution, from the coarsest table whose rows divide them. An hour
 * or a day is stored when it has ended: where a table has no row, rows of the next finer one are
 * merged into what the row will be, by the law of schemas/window-merge.ts and in the steps in which
 * the pipeline takes it. So an answer is the same before and after the row is stored, and a hole
 * where nothing was measured costs a look at the index.
 */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
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
import { QUERY_SETTINGS, type SeriesRef, type SpanMs } from './telemetry-reader.ts'
import { holesIn, joined } from './time-spans.ts'

export type MergedWindow = Revision & Readonly<{ part: WindowPart }>

type RollupAsk = SpanMs &
  Readonly<{
    resolution: Resolution
    /** Windows: as soon as there are this many, the rest may be left out. */
    limit: number
    /** Whether percentiles will be asked of the windows. */
    sketches: boolean
  }>

/** Conditions of one question; more holes are joined across rows that are known already. */
const SPANS_PER_QUESTION = 32

/** A stored row, or what rows were merged into; `closedToMs`: the end of its last final row. */
type Unit = Readonly<{
  startMs: number
  part: WindowPart
  final: boolean
  closedToMs: number
  correctedAtMs: number
  version: number
}>

type Question = Readonly<{
  tenant: string
  series: SeriesRef
  windowMs: number
  limit: number
  sketches: boolean
  horizonOf: (table: string) => number
}>

export class RollupReader {
  readonly #database: Pick<Clickhouse, 'selectChunks'>
  readonly #retention: Retention

  constructor(database: Pick<Clickhouse, 'selectChunks'>, retention: Retention) {
    this.#database = database
    this.#retention = retention
  }

  /** The time before which windows of each resolution have expired. */
  async expiries(): Promise<(resolution: Resolution) => number> {
    const horizonOf = await this.#retention.horizons()
    return (resolution) =>
      sourcesOf(resolution).reduce((ms, { table }) => Math.min(ms, horizonOf(table)), Infinity)
  }

  /** Windows that start in [from, to), in order. None of them is made of a part of its rows. */
  async windows(
    tenant: string,
    series: SeriesRef,
    { fromMs, toMs, resolution, limit, sketches }: RollupAsk,
  ): Promise<readonly MergedWindow[]> {
    const windowMs = resolutionMs(resolution)
    const horizonOf = await this.#retention.horizons()
    // Whole windows: the rows of every window that starts in the span, even those after its end.
    const span = {
      fromMs: aligned(fromMs, windowMs),
      toMs: Math.min(aligned(toMs, windowMs), LIMITS.timeMsMax),
    }
    const question = { tenant, series, windowMs, limit, sketches, horizonOf }
    const spans = span.fromMs < span.toMs ? [span] : []
    const units = await this.#units(question, sourcesOf(resolution), { spans, unitMs: windowMs })
    return withFinality(units, windowMs).slice(0, limit)
  }

  /** What lies in these spans in units of one length, from the first source and the finer ones. */
  async #units(
    question: Question,
    [source, ...finer]: readonly RollupTable[],
    wanted: Readonly<{ spans: readonly SpanMs[]; unitMs: number }>,
  ): Promise<readonly Unit[]> {
    if (source === undefined) return []
    const { windowMs, horizonOf } = question
    const spans = clipped(wanted.spans, aligned(horizonOf(source.table), windowMs))
    const found = new Units(finer.length === 0 ? wanted.unitMs : source.rowMs)
    await this.#read(question, source, { spans, into: found })
    if (finer.length === 0) return found.all
    const starts = found.all.map(({ startMs }) => startMs)
    const holes = { spans: holesIn(wanted.spans, starts, source.rowMs), unitMs: source.rowMs }
    const fill = await this.#units(question, finer, holes)
    const known = new Set(starts)
    const units = new Units(wanted.unitMs)
    const both = found.all.concat(fill.filter(({ startMs }) => !known.has(startMs)))
    for (const unit of both.sort((a, b) => a.startMs - b.startMs)) units.add(unit)
    return units.all
  }

  async #read(
    { tenant, series, windowMs, limit, sketches }: Question,
    { table, rowMs }: RollupTable,
    wanted: Readonly<{ spans: readonly SpanMs[]; into: Units }>,
  ): Promise<void> {
    const spans = joined(wanted.spans, SPANS_PER_QUESTION)
    if (spans.length === 0) return
    const bounds = spans.flatMap(({ fromMs, toMs }, at) => [
      [`from${at}`, fromMs / 1000],
      [`to${at}`, toMs / 1000],
    ])
    const within = spans.map((_, at) => BETWEEN.replaceAll('#', String(at))).join(' OR ')
    const chunks = this.#database.selectChunks<StoredRow>(
      `SELECT ${columnsOf({ kind: series.kind, sketches })} FROM ${table} FINAL
       WHERE tenant = {tenant:String} AND series = {series:UInt64} AND (${within})
       ORDER BY w LIMIT {rowsMax:UInt64}`,
      {
        tenant,
        series: series.series,
        rowsMax: limit * (windowMs / rowMs),
        ...Object.fromEntries(bounds),
      },
      { settings: QUERY_SETTINGS },
    )
    // Merged as they come: a hundred thousand minutes at once would keep live readers waiting.
    for await (const rows of chunks) for (const row of rows) wanted.into.add(unitOf(row, rowMs))
  }
}

const BETWEEN = "w >= toDateTime({from#:UInt32}, 'UTC') AND w < toDateTime({to#:UInt32}, 'UTC')"

function unitOf(row: StoredRow, rowMs: number): Unit {
  const [startMs, final] = [row.startSeconds * 1000, row.final === 1]
  const closedToMs = final ? startMs + rowMs : 0
  const revision = { final, closedToMs, correctedAtMs: row.correctedMs, version: row.ver }
  return { startMs, part: asPart(row), ...revision }
}

const aligned = (ms: number, sizeMs: number): number => Math.ceil(ms / sizeMs) * sizeMs

/** What of these spans is not before `fromMs`. */
const clipped = (spans: readonly SpanMs[], fromMs: number): readonly SpanMs[] =>
  spans
    .filter(({ toMs }) => toMs > fromMs)
    .map((span) => ({ fromMs: Math.max(span.fromMs, fromMs), toMs: span.toMs }))

/** Makes what comes in the order of time into units of one length. */
class Units {
  readonly all: Unit[] = []
  readonly #unitMs: number
  /** The state of the last unit, once a second part has come to it. */
  #merging: WindowState | undefined

  constructor(unitMs: number) {
    this.#unitMs = unitMs
  }

  add(unit: Unit): void {
    const startMs = unit.startMs - (unit.startMs % this.#unitMs)
    const last = this.all.at(-1)
    if (last === undefined || last.startMs !== startMs) {
      this.all.push({ ...unit, startMs })
      this.#merging = undefined
      return
    }
    if (this.#merging === undefined) {
      this.#merging = emptyWindowState()
      mergeInto(this.#merging, last.part)
    }
    mergeInto(this.#merging, unit.part)
    this.all[this.all.length - 1] = {
      startMs,
      part: this.#merging,
      final: last.final && unit.final,
      closedToMs: Math.max(last.closedToMs, unit.closedToMs),
      correctedAtMs: Math.max(last.correctedAtMs, unit.correctedAtMs),
      version: Math.max(last.version, unit.version),
    }
  }
}

/**
 * Whether a window can still change. That its rows are final is not enough: a minute in which the
 * device said nothing has no row, and may still get its first one. A final row is the proof that
 * event time has passed its end, for the whole partition.
 */
function withFinality(units: readonly Unit[], windowMs: number): readonly MergedWindow[] {
  const closedToMs = units.reduce((max, unit) => Math.max(max, unit.closedToMs), 0)
  return units.map(({ startMs, part, final, correctedAtMs, version }) => ({
    ...{ startMs, part, correctedAtMs, version },
    final: final && startMs + windowMs <= closedToMs,
  }))
}
