/**
 * What the tables said of some windows before anything was read that their rows are made of. A row
 * that is written again takes the offset of the version seen here, never a newer one: whatever the
 * pipeline writes meanwhile has a higher version, and wins.
 */
import { Failure } from '../../platform/failure.ts'
import type { RowFold } from '../sinks/rollup-sink.ts'
import type { RollupRow } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'
import { FOLD_EPOCH, versionOf } from '../window/window-version.ts'
import { contentDigest } from './content-digest.ts'

const FOLD_EPOCHS = 256

export const seriesName = ({ tenant, id }: SeriesRef): string => `${tenant} ${seriesIdAsBigint(id)}`

type Stored = {
  readonly version: number
  readonly correctedAtMs: number
  readonly final: boolean
  readonly digest: number
  met: boolean
}

export type Verdict =
  | Readonly<{ kind: 'unchanged' | 'open' }>
  | Readonly<{ kind: 'rewrite' | 'add'; version: number; correctedAtMs: number }>

type Judged = Readonly<{
  series: SeriesRef
  startMs: number
  /** Of its content. */
  digest: number
  /** The largest that its content is made of, for a window that has no row yet. */
  newestOffset: number
}>

export const sameSeries = (a: SeriesRef, b: SeriesRef): boolean =>
  a === b || (a.id.low === b.id.low && a.id.high === b.id.high && a.tenant === b.tenant)

export const sameWindow = (
  a: Pick<Judged, 'series' | 'startMs'>,
  b: Pick<Judged, 'series' | 'startMs'>,
): boolean => a.startMs === b.startMs && sameSeries(a.series, b.series)

/** All windows are of one size. Rows come, and are judged, series by series. */
export class StoredWindows implements RowFold {
  readonly #windowMs: number
  readonly #wanted: (row: RollupRow<SeriesRef>) => boolean
  /** By series, then by the number of the window: small integers are found quickest. */
  readonly #series = new Map<string, Map<number, Stored>>()
  #last: Readonly<{ series: SeriesRef; rows: Map<number, Stored> }> | undefined

  constructor(windowMs: number, wanted: (row: RollupRow<SeriesRef>) => boolean) {
    this.#windowMs = windowMs
    this.#wanted = wanted
  }

  add(row: RollupRow<SeriesRef>): void {
    if (!this.#wanted(row)) return
    const { series, startMs, aggregate, final, correctedAtMs, version } = row
    const digest = contentDigest(aggregate)
    const stored = { version, correctedAtMs, final, digest, met: false }
    this.#rowsOf(series).set(startMs / this.#windowMs, stored)
  }

  async relieve(): Promise<void> {}

  /** What to do with a window whose content is this. */
  judge({ series, startMs, digest, newestOffset }: Judged): Verdict {
    const stored = this.#rowsOf(series).get(startMs / this.#windowMs)
    if (stored === undefined) {
      return { kind: 'add', version: versionOf(newestOffset, FOLD_EPOCH), correctedAtMs: 0 }
    }
    stored.met = true
    if (!stored.final) return { kind: 'open' }
    if (stored.digest === digest) return { kind: 'unchanged' }
    const { version, correctedAtMs } = stored
    return { kind: 'rewrite', version: reprocessedVersion(version), correctedAtMs }
  }

  /** Rows that nothing was found for that they could be made of: they stay as they are. */
  get unmet(): number {
    let unmet = 0
    for (const rows of this.#series.values()) {
      for (const { met } of rows.values()) if (!met) unmet += 1
    }
    return unmet
  }

  #rowsOf(series: SeriesRef): Map<number, Stored> {
    if (this.#last !== undefined && sameSeries(series, this.#last.series)) return this.#last.rows
    const name = seriesName(series)
    const rows = this.#series.get(name) ?? new Map<number, Stored>()
    this.#series.set(name, rows)
    this.#last = { series, rows }
    return rows
  }
}

/** The same offset, and a fold epoch above the one that the row was written under. */
function reprocessedVersion(version: number): number {
  const foldEpoch = Math.max(FOLD_EPOCH, (version % FOLD_EPOCHS) + 1)
  if (foldEpoch < FOLD_EPOCHS) return versionOf(offsetOf(version), foldEpoch)
  throw new Failure('limit_exceeded', 'a window was reprocessed 255 times: no fold epoch is left')
}

export const offsetOf = (version: number): number => Math.floor(version / FOLD_EPOCHS)
