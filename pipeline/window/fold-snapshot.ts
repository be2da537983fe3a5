/**
 * What the fold hands to the outside: rows for the tables and marks of windows to recompute. The
 * rows of one snapshot belong together with its checkpoint; using them apart is the bug.
 */
import type { FoldCheckpoint } from './checkpoint.ts'
import type { NumberedMessage, RawRows } from './raw-rows.ts'
import type { RollupRows } from './rollup-row.ts'
import type { Series } from './series.ts'
import { RESOLUTIONS_MS } from './tumbling-windows.ts'

/** Windows that a late sample fell into: per series, the starts at each resolution. */
export class LateMarks {
  readonly bySeries = new Map<Series, readonly Set<number>[]>()
  count = 0

  add(series: Series, resolutionIndex: number, startMs: number): void {
    let starts = this.bySeries.get(series)
    if (starts === undefined) {
      starts = RESOLUTIONS_MS.map(() => new Set<number>())
      this.bySeries.set(series, starts)
    }
    const set = starts[resolutionIndex]
    if (set === undefined || set.has(startMs)) return
    set.add(startMs)
    this.count += 1
  }
}

/** What is needed of a snapshot when its rows are written. */
export type SettledSnapshot = Readonly<{
  partition: number
  late: LateMarks
  /** Append time of the oldest record that made a late mark: its raw rows must not have expired. */
  oldestLateAppendMs: number
  /** Corrections and cascades are written at the version and append time of the last record. */
  correctionVersion: number
  correctedAtMs: number
  /** C of the last commit: hours and days that ended by then are in the tables. */
  cascadedToMs: number
  checkpoint: FoldCheckpoint
}>

/** Everything of one moment between two records of a partition. */
export type FoldSnapshot = SettledSnapshot &
  Readonly<{
    newSeries: readonly Series[]
    messages: readonly NumberedMessage[]
    raw: RawRows
    /** One for each resolution. */
    rollups: readonly RollupRows[]
  }>

/** Lets go of the rows. */
export const settledPart = (snapshot: FoldSnapshot): SettledSnapshot => ({
  partition: snapshot.partition,
  late: snapshot.late,
  oldestLateAppendMs: snapshot.oldestLateAppendMs,
  correctionVersion: snapshot.correctionVersion,
  correctedAtMs: snapshot.correctedAtMs,
  cascadedToMs: snapshot.cascadedToMs,
  checkpoint: snapshot.checkpoint,
})
