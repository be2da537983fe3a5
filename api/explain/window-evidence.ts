/**
 * What ClickHouse holds of one window: raw samples with every delivery that is still there, and
 * stored rows with every version that is still there. No FINAL here: what it would hide is asked for.
 */
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { ExplainedSample, StoredRevision } from '../contract/explanation.ts'
import { rollupOf, valueOf } from '../readings/rollup-item.ts'
import type { RollupTable } from '../readings/resolution.ts'
import { asPart, columnsOf, type StoredRow } from '../readings/stored-row.ts'
import {
  QUERY_SETTINGS,
  type Selecting,
  type SeriesRef,
  type SpanMs,
} from '../readings/telemetry-reader.ts'
import type { RawSample } from './fold-again.ts'

const REVISIONS_MAX = 100
/** Lost deliveries that are shown of one sample. */
const LOST_MAX = 10
/** pipeline/window writes it into a raw row's flags. */
const FLAG_UNSTAMPED = 1

/** A stored row twice: as people see it, and as numbers to compare. */
export type RevisionEvidence = Readonly<{ revision: StoredRevision; part: WindowPart }>

type RevisionRow = StoredRow &
  Readonly<{ part: number; topicEpoch: number; offset: number; foldEpoch: number }>
type DeliveryRow = Readonly<{
  at: number
  sampleValue: number
  sampleText: string
  partition: number
  offset: number
  sampleFlags: number
  sampleShift: number
  deliveries: readonly (readonly [offset: number, partition: number, value: number, text: string])[]
}>

export class WindowEvidence {
  readonly #database: Selecting

  constructor(database: Selecting) {
    this.#database = database
  }

  /** Rows of the window that starts at `startMs`, newest first. */
  async revisions(
    tenant: string,
    of: SeriesRef,
    at: Readonly<{ source: RollupTable; startMs: number }>,
  ): Promise<readonly RevisionEvidence[]> {
    const rows = await this.#select<RevisionRow>(
      `SELECT ${columnsOf({ kind: of.kind, sketches: true })}, part,
         bitShiftRight(ver, 56) AS topicEpoch, bitAnd(ver, 255) AS foldEpoch,
         bitAnd(bitShiftRight(ver, 8), bitShiftLeft(1, 48) - 1) AS offset
       FROM ${at.source.table}
       WHERE tenant = {tenant:String} AND series = {series:UInt64}
         AND w = toDateTime({start:UInt32}, 'UTC')
       ORDER BY ver DESC LIMIT 1 BY ver LIMIT {rowsMax:UInt32}`,
      { tenant, series: of.series, start: at.startMs / 1000, rowsMax: REVISIONS_MAX },
    )
    return rows.map((row) => revisionOf(of, row))
  }

  /** The deliveries that count, oldest first, as numbers; at most `limit`. */
  async counted(
    tenant: string,
    of: SeriesRef,
    page: SpanMs & Readonly<{ limit: number }>,
  ): Promise<readonly RawSample[]> {
    const rows = await this.#select<{ at: number; sampleValue: number; sampleText: string }>(
      `SELECT toUnixTimestamp64Milli(ts) AS at, argMax(value, inv) AS sampleValue,
         argMax(text, inv) AS sampleText
       ${FROM_WINDOW}`,
      { tenant, series: of.series, from: page.fromMs, to: page.toMs, limit: page.limit },
    )
    return rows.map(({ at, sampleValue, sampleText }) => ({
      at,
      value: sampleValue,
      text: sampleText,
    }))
  }

  /** The same as people see them, with what lost against them. */
  async samples(
    tenant: string,
    of: SeriesRef,
    page: SpanMs & Readonly<{ limit: number }>,
  ): Promise<readonly ExplainedSample[]> {
    const rows = await this.#select<DeliveryRow>(
      `SELECT toUnixTimestamp64Milli(ts) AS at, argMax(value, inv) AS sampleValue,
         argMax(text, inv) AS sampleText, argMax(part, inv) AS partition,
         argMax(off, inv) AS offset, argMax(flags, inv) AS sampleFlags,
         argMax(shift, inv) AS sampleShift,
         groupUniqArray(${LOST_MAX + 1})((off, part, value, text)) AS deliveries
       ${FROM_WINDOW}`,
      { tenant, series: of.series, from: page.fromMs, to: page.toMs, limit: page.limit },
    )
    return rows.map((row) => sampleOf(of, row))
  }

  async #select<Row>(query: string, parameters: Record<string, unknown>): Promise<readonly Row[]> {
    return this.#database.select<Row>(query, parameters, { settings: QUERY_SETTINGS })
  }
}

const FROM_WINDOW = `
  FROM samples
  WHERE tenant = {tenant:String} AND series = {series:UInt64}
    AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
  GROUP BY ts ORDER BY ts LIMIT {limit:UInt32}`

function revisionOf(of: SeriesRef, row: RevisionRow): RevisionEvidence {
  const part = asPart(row)
  const revision = {
    startMs: row.startSeconds * 1000,
    sampledMs: row.lastMs - row.firstMs,
    final: row.final === 1,
    correctedAtMs: row.correctedMs,
    version: row.ver,
  }
  const rollup = rollupOf(of.kind, part, revision)
  const { topicEpoch, offset, foldEpoch } = row
  const place = { partition: row.part, offset, topicEpoch, foldEpoch }
  return { part, revision: { ...rollup, firstAt: row.firstMs, lastAt: row.lastMs, ...place } }
}

function sampleOf(of: SeriesRef, row: DeliveryRow): ExplainedSample {
  const { at, partition, offset, sampleShift } = row
  // A record that was read twice is stored twice until a merge: one delivery all the same.
  const lost = row.deliveries
    .filter(([off, part]) => off !== offset || part !== partition)
    .slice(0, LOST_MAX)
    .sort(([a], [b]) => a - b)
    .map(([off, part, value, text]) => ({
      partition: part,
      offset: off,
      value: valueOf(of.kind, value, text),
    }))
  return {
    at,
    value: valueOf(of.kind, row.sampleValue, row.sampleText),
    partition,
    offset,
    stamped: (row.sampleFlags & FLAG_UNSTAMPED) === 0,
    ...(sampleShift === 0 ? {} : { deviceAt: at + sampleShift }),
    ...(lost.length === 0 ? {} : { lost }),
  }
}
