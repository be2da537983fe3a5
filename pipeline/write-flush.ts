/**
 * One flush: what some partitions handed over at one moment goes to the tables, and then, and only
 * then, their positions are committed. The order is the promise:
 *
 *   0 series   1 raw rows   2 rollup rows   3 late windows, recomputed from raw
 *   4 hours and days, merged from the tables   5 commit
 *
 * A crash between any two steps is repaired by reading the log again from the committed offset:
 * every row is absolute and comes again, or better.
 */
import { Failure } from '../platform/failure.ts'
import { writeCascades } from './cascade.ts'
import { correctedRows } from './late-recompute.ts'
import type { RollupSink } from './sinks/rollup-sink.ts'
import type { FoldSnapshot } from './window/fold-snapshot.ts'
import type { RollupRows } from './window/rollup-row.ts'
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
  corrected(rows: RollupRows): void
  /** Throws when a flush with late records appended at this time must not be recomputed any more. */
  checkRawRetention(oldestLateAppendMs: number): void
}>

export type FlushTotals = Readonly<{
  samples: number
  rollups: number
  corrections: number
  cascaded: number
  commits: number
}>

/** Rejects when the sink does; nothing is committed then, and the process must not go on. */
export async function writeFlush(
  flushes: readonly PartitionFlush[],
  ports: FlushPorts,
): Promise<FlushTotals> {
  const { sink } = ports
  const snapshots = flushes.map((flush) => flush.snapshot)
  await writeSeries(snapshots, sink)
  const raw = snapshots.map((snapshot) => snapshot.raw).filter((rows) => rows.count > 0)
  if (raw.length > 0) await sink.insertSamples(raw)
  const messages = snapshots.flatMap((snapshot) => [...snapshot.messages])
  if (messages.length > 0) await sink.insertMessages(messages)
  const rollups = await writeRollups(
    snapshots.map((snapshot) => snapshot.rollups),
    sink,
  )
  const corrections = await correct(snapshots, ports)
  const cascaded = await writeCascades(snapshots, sink)
  let commits = 0
  for (const flush of flushes) {
    await flush.deadLetters
    if (await flush.commit()) commits += 1
  }
  const samples = raw.reduce((sum, rows) => sum + rows.count, 0)
  return { samples, rollups, corrections, cascaded, commits }
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

async function correct(snapshots: readonly FoldSnapshot[], ports: FlushPorts): Promise<number> {
  let corrections = 0
  for (const snapshot of snapshots) {
    if (snapshot.late.count === 0) continue
    ports.checkRawRetention(snapshot.oldestLateAppendMs)
    for await (const bundle of correctedRows(snapshot, ports.sink)) {
      corrections += await writeRollups([bundle], ports.sink)
      for (const rows of bundle) ports.corrected(rows)
    }
  }
  return corrections
}
