/**
 * How what some partitions handed over at one moment goes to the tables, and how, then and only
 * then, their positions are committed. The order is the promise:
 *
 *   together         0 series   1 raw rows and message numbers   2 rollup rows          writeRows
 *   each partition   3 late windows, recomputed from raw   4 hours and days   5 commit     settle
 *
 * A crash between any two steps is repaired by reading the log again from the committed offset:
 * every row is absolute and comes again, or better. Rows of later flushes may be written while an
 * earlier one is settling, because a row may hold more than its version promises, never less; the
 * flushes of one partition are settled in their order.
 */
import { Failure } from '../platform/failure.ts'
import { writeCascades } from './cascade.ts'
import { correctedRows } from './late-recompute.ts'
import type { RollupSink } from './sinks/rollup-sink.ts'
import type { FoldSnapshot, SettledSnapshot } from './window/fold-snapshot.ts'
import type { RollupRows } from './window/rollup-row.ts'
import { RESOLUTIONS_MS } from './window/tumbling-windows.ts'

/** What is left to do for a partition when its rows are written. */
export type Settlement = Readonly<{
  snapshot: SettledSnapshot
  /** Resolves when every dead letter of records before P is acknowledged. */
  deadLetters: Promise<unknown>
  /** Commits the snapshot's checkpoint; false when the partition is no longer ours. */
  commit(): Promise<boolean>
}>

export type PartitionFlush = Settlement & Readonly<{ snapshot: FoldSnapshot }>

export type FlushPorts = Readonly<{
  sink: RollupSink
  /** Told of corrected rows when they are durable. */
  corrected(rows: RollupRows): void
  /** Throws when a flush with late records appended at this time must not be recomputed any more. */
  checkRawRetention(oldestLateAppendMs: number): void
}>

export type RowTotals = Readonly<{ samples: number; rollups: number }>
export type SettleTotals = Readonly<{ corrections: number; cascaded: number; committed: boolean }>

/** Rejects when the sink does; the process must not go on then. */
export async function writeRows(
  snapshots: readonly FoldSnapshot[],
  sink: RollupSink,
): Promise<RowTotals> {
  await writeSeries(snapshots, sink)
  const raw = snapshots.map((snapshot) => snapshot.raw).filter((rows) => rows.count > 0)
  if (raw.length > 0) await sink.insertSamples(raw)
  const messages = snapshots.flatMap((snapshot) => [...snapshot.messages])
  if (messages.length > 0) await sink.insertMessages(messages)
  const rollups = await writeRollups(
    snapshots.map((snapshot) => snapshot.rollups),
    sink,
  )
  return { samples: raw.reduce((sum, rows) => sum + rows.count, 0), rollups }
}

/** The rows of the snapshot must be durable. Nothing is committed when this rejects. */
export async function settle(flush: Settlement, ports: FlushPorts): Promise<SettleTotals> {
  const corrections = await correct(flush.snapshot, ports)
  const cascaded = await writeCascades(flush.snapshot, ports.sink)
  await flush.deadLetters
  const committed = await flush.commit()
  return { corrections, cascaded, committed }
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

/** Each handed-over list has the rows of one resolution at each place. */
async function writeRollups(
  lists: readonly (readonly RollupRows[])[],
  sink: RollupSink,
): Promise<number> {
  let written = 0
  for (const r of RESOLUTIONS_MS.keys()) {
    const batches = lists.flatMap((rows) => rows[r] ?? []).filter((rows) => rows.count > 0)
    if (batches.length > 0) await sink.insertRollups(batches)
    written += batches.reduce((sum, rows) => sum + rows.count, 0)
  }
  return written
}

async function correct(snapshot: SettledSnapshot, ports: FlushPorts): Promise<number> {
  if (snapshot.late.count === 0) return 0
  ports.checkRawRetention(snapshot.oldestLateAppendMs)
  let corrections = 0
  for await (const bundle of correctedRows(snapshot, ports.sink)) {
    corrections += await writeRollups([bundle], ports.sink)
    for (const rows of bundle) ports.corrected(rows)
  }
  return corrections
}
