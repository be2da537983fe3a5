/**
 * What the fold hands to the outside: rows for the tables and marks of windows to recompute. The
 * rows of one snapshot belong together with its checkpoint; using them apart is the bug.
 */
import type { Aggregate } from './aggregate.ts'
import type { FoldCheckpoint } from './checkpoint.ts'
import type { Series } from './series.ts'
import { RESOLUTIONS_MS } from './tumbling-windows.ts'

export type RollupRow = Readonly<{
  series: Series
  partition: number
  resolutionMs: number
  startMs: number
  aggregate: Aggregate
  final: boolean
  /** Log append time of the record in `version` when a correction wrote the row, else 0. */
  correctedAtMs: number
  version: number
}>

/** Bit 0 of a raw row's flags: the device sent no time, the sample carries the receive time. */
export const FLAG_UNSTAMPED = 1

/** Raw rows of one partition, a column each: a flush holds tens of thousands of them. */
export class RawRows {
  readonly partition: number
  readonly series: Series[] = []
  readonly tsMs: number[] = []
  readonly values: number[] = []
  readonly texts: string[] = []
  readonly flags: number[] = []
  readonly offsets: number[] = []

  constructor(partition: number) {
    this.partition = partition
  }

  get count(): number {
    return this.series.length
  }
}

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

/** Everything of one moment between two records of a partition. */
export type FoldSnapshot = Readonly<{
  partition: number
  newSeries: readonly Series[]
  raw: RawRows
  rows: readonly RollupRow[]
  late: LateMarks
  /** Append time of the oldest record that made a late mark: its raw rows must not have expired. */
  oldestLateAppendMs: number
  /** Corrections are written at the version and append time of the last record before P. */
  correctionVersion: number
  correctedAtMs: number
  checkpoint: FoldCheckpoint
}>
