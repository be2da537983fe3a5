import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tickRecord } from '../schemas/telemetry.ts'
import { bundled, markedCells } from './late-recompute.ts'
import { bruteForce, type LoggedRecord } from './testing/brute-force.ts'
import { flatOf } from './testing/flat-telemetry.ts'
import { ACCEPTED_AGE_MS, emptyRecord, LOG_START_MS } from './testing/fold-log.ts'
import { difference } from './testing/memory-differences.ts'
import { MemorySink } from './testing/memory-sink.ts'
import { distrustingCheckpoint, type FoldCheckpoint, freshCheckpoint } from './window/checkpoint.ts'
import { LateMarks } from './window/fold-snapshot.ts'
import { PartitionFold } from './window/partition-fold.ts'
import { Series } from './window/series.ts'
import { settle, writeRows } from './write-flush.ts'

const seriesOf = (metric: string): Series => new Series('acme', 'd0', metric, 'number')
const bundles = (marks: LateMarks) => [...bundled(markedCells(marks))]

test('windows of one minute are read once, whatever their size', () => {
  const marks = new LateMarks()
  const series = seriesOf('a')
  for (const startMs of [120_000, 130_000, 170_000, 60_000]) marks.add(series, 0, startMs)
  marks.add(series, 1, 120_000)
  assert.deepEqual(bundles(marks), [[{ series, cellStartsMs: [60_000, 120_000] }]])
})

test('a long upload is cut into reads of bounded size, and nothing is left out', () => {
  const marks = new LateMarks()
  const [few, many] = [seriesOf('few'), seriesOf('many')]
  for (let n = 0; n < 10; n += 1) marks.add(few, 1, n * 60_000)
  for (let n = 0; n < 20_000; n += 1) marks.add(many, 0, n * 300_000)
  const sizes = bundles(marks).map((bundle) =>
    bundle.reduce((sum, { cellStartsMs }) => sum + cellStartsMs.length, 0),
  )
  assert.ok(sizes.every((size) => size <= 4_000))
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    20_010,
  )
})

test('no marks, no reads', () => {
  assert.deepEqual(bundles(new LateMarks()), [])
})

/** One owner from this checkpoint on: folds the records, and commits them. */
async function flushed(
  sink: MemorySink,
  from: FoldCheckpoint,
  log: readonly LoggedRecord[],
): Promise<void> {
  const sizes = { latenessMs: 15_000, acceptedAgeMs: ACCEPTED_AGE_MS, idleSeriesMax: 3 }
  const fold = new PartitionFold({ partition: 0, partitions: 1, foldEpoch: 1, ...sizes }, from)
  for (const { offset, appendMs, record } of log) {
    assert.ok(record)
    fold.accept(flatOf(record), offset, appendMs)
  }
  const snapshot = fold.snapshot()
  assert.ok(snapshot)
  const ports = { sink, corrected: () => {}, checkRawRetention: () => {} }
  await writeRows([snapshot], sink)
  await settle({ snapshot, deadLetters: Promise.resolve(), commit: async () => true }, ports)
}

test('a start without a checkpoint to trust recomputes from raw what older records lie in', async () => {
  const at = LOG_START_MS
  const sample = (offset: number, tsMs: number, appendMs: number): LoggedRecord => ({
    offset,
    appendMs,
    record: {
      ...emptyRecord('d0', appendMs),
      numbers: [{ metric: 'm', t0: tsMs, dt: [0], v: [offset] }],
    },
  })
  // A tick closes the window, all of it is committed, and then a late sample arrives.
  const tick = { offset: 1, appendMs: at + 80_000, record: tickRecord(at + 80_000) }
  const before = [sample(0, at, at), tick]
  const late = sample(2, at + 1, at + 81_000)
  const expected = bruteForce([...before, late], ACCEPTED_AGE_MS)

  const [distrusting, guessing] = [new MemorySink(() => 0), new MemorySink(() => 0)]
  for (const sink of [distrusting, guessing]) await flushed(sink, freshCheckpoint(0), before)
  await flushed(distrusting, distrustingCheckpoint(2, late.appendMs), [late])
  assert.equal(difference(expected, distrusting), undefined)
  // An owner that guesses that nothing was closed writes a window of what it read itself.
  await flushed(guessing, { ...distrustingCheckpoint(2, late.appendMs), closedToMs: 0 }, [late])
  assert.notEqual(difference(expected, guessing), undefined)
})
