/**
 * One flush: what some partitions handed over at one moment goes to the tables, and then, and only
 * then, their positions are committed. The order is the promise:
 *
 *   0 series   1 raw rows   2 rollup rows   3 late windows, recomputed from raw   5 commit
 *
 * (4 will be the cascade to hours and days.) A crash between any two steps is repaired by reading
 * the log again from the committed offset: every row is absolute and comes again, or better.
 */
import { Failure } from '../platform/failure.ts'
import { correctedRows } from './late-recompute.ts'
import type { RollupSink } from './sinks/rollup-sink.ts'
import type { FoldSnapshot, RollupRow } from './window/rollup-row.ts'
import { RESOLUTIONS_MS } from './window/tumbling-windows.ts'

export type PartitionFlush = Readonly<{
  snapshot: FoldSnapshot
  /** Resolves when every dead letter of records before P is acknowledged. */
  deadLetters: Promise<unknown>
  /** Commits the snapshot's checkpoint; false when the partition is no longer ours. */
  commit(): Promise<boolean>
}>

export type FlushPorts = Readonly<{
  sink: RollupSink
  /** Told of corrected rows when they are durable. */
  corrected(rows: readonly RollupRow[]): void
  /** Throws when a flush with late records appended at this time must not be recomputed any more. */
  checkRawRetention(oldestLateAppendMs: number): void
}>

export type FlushTotals = { samples: number; rollups: number; corrections: number; commits: number }

/** Rejects when the sink does; nothing is committed then, and the process must not go on. */
export async function writeFlush(
  flushes: readonly PartitionFlush[],
  ports: FlushPorts,
): Promise<FlushTotals> {
  const { sink } = ports
  const snapshots = flushes.map((flush) => flush.snapshot)
  await writeSeries(snapshots, sink)
  const batches = snapshots.map(({ raw }) => raw).filter((raw) => raw.count > 0)
  if (batches.length > 0) await sink.insertSamples(batches)
  const rows = snapshots.flatMap((snapshot) => [...snapshot.rows])
  await writeRollups(rows, sink)
  const corrections = await correct(snapshots, ports)
  let commits = 0
  for (const flush of flushes) {
    await flush.deadLetters
    if (await flush.commit()) commits += 1
  }
  const samples = batches.reduce((sum, raw) => sum + raw.count, 0)
  return { samples, rollups: rows.length, corrections, commits }
}

async function writeSeries(snapshots: readonly FoldSnapshot[], sink: RollupSink): Promise<void> {
  const series = snapshots.flatMap((snapshot) => [...snapshot.newSeries])
  if (series.length === 0) return
  await sink.insertSeries(series)
  // Before any sample of theirs is stored: two names under one id would be one wrong series.
  const collisions = await sink.collisions(series)
  if (collisions.length > 0) {
    throw new Failure('internal', `Two series have the same id: ${collisions.join('; ')}`)
  }
}

async function writeRollups(rows: readonly RollupRow[], sink: RollupSink): Promise<void> {
  for (const resolutionMs of RESOLUTIONS_MS) {
    const some = rows.filter((row) => row.resolutionMs === resolutionMs)
    if (some.length > 0) await sink.insertRollups(resolutionMs, some)
  }
}

async function correct(snapshots: readonly FoldSnapshot[], ports: FlushPorts): Promise<number> {
  let corrections = 0
  for (const snapshot of snapshots) {
    if (snapshot.late.count === 0) continue
    ports.checkRawRetention(snapshot.oldestLateAppendMs)
    for await (const rows of correctedRows(snapshot, ports.sink)) {
      await writeRollups(rows, ports.sink)
      ports.corrected(rows)
      corrections += rows.length
    }
  }
  return corrections
}
