import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bruteForce, type LoggedRecord, rollupKey, seriesKey } from '../testing/brute-force.ts'
import { freshCheckpoint } from './checkpoint.ts'
import { ACCEPTED_AGE_MS, emptyRecord, LOG_START_MS, logs } from '../testing/fold-log.ts'
import { PartitionFold } from './partition-fold.ts'
import type { FoldSnapshot } from './fold-snapshot.ts'
import { TelemetryReader } from '../../schemas/telemetry-reader.ts'
import { partitionOf } from '../../schemas/topics.ts'
import { flatOf } from '../testing/flat-telemetry.ts'
import type { RollupRow } from './rollup-row.ts'

const OPTIONS = {
  partition: 0,
  partitions: 1,
  latenessMs: 15_000,
  acceptedAgeMs: ACCEPTED_AGE_MS,
  idleSeriesMax: 1_000,
  foldEpoch: 1,
}
const foldOf = (): PartitionFold => new PartitionFold(OPTIONS, freshCheckpoint(0))

const single = (tsMs: number, value: number, appendMs = tsMs, device = 'd0') => ({
  ...emptyRecord(device, appendMs),
  numbers: [{ metric: 'm0', t0: tsMs, dt: [0], v: [value] }],
})

/** Highest version by window: what a table shows after any number of flushes. */
function tableOf(snapshots: readonly FoldSnapshot[]): Map<string, RollupRow> {
  const table = new Map<string, RollupRow>()
  for (const row of snapshots.flatMap(rowsOf)) {
    const key = rollupKey(seriesKey(row.series), row.resolutionMs, row.startMs)
    if (row.version >= (table.get(key)?.version ?? 0)) table.set(key, row)
  }
  return table
}

function run(log: readonly LoggedRecord[], cuts: readonly number[]): FoldSnapshot[] {
  const fold = foldOf()
  const snapshots: FoldSnapshot[] = []
  for (const { offset, appendMs, record } of log) {
    if (record === undefined) fold.skip(offset, appendMs)
    else fold.accept(flatOf(record), offset, appendMs)
    if (cuts.includes(offset)) snapshots.push(...present(fold.snapshot()))
  }
  return [...snapshots, ...present(fold.snapshot())]
}

const rowsOf = (snapshot: FoldSnapshot | undefined): RollupRow[] =>
  (snapshot?.rollups ?? []).flatMap((rows) => [...rows.each()])

const present = (snapshot: FoldSnapshot | undefined): FoldSnapshot[] =>
  snapshot === undefined ? [] : [snapshot]

const contents = (table: Map<string, RollupRow>) =>
  new Map([...table].map(([key, row]) => [key, row.aggregate]))

test('a series is one, however its bytes are spelled', () => {
  const fold = foldOf()
  const record = (metric: string, n: number) => ({
    ...emptyRecord('d0', LOG_START_MS + n),
    numbers: [{ metric, t0: LOG_START_MS + n, dt: [0], v: [n] }],
  })
  const framed = (metric: string, n: number): Buffer => Buffer.from(flatOf(record(metric, n)).bytes)
  const spellings = [0xff, 0xfe].map((byte, n) => {
    const frame = framed('Q', n)
    frame[frame.indexOf('Q')] = byte
    return frame
  })
  // The tenant's length in two bytes, where one does.
  const plain = framed('\ufffd', 2)
  const [head, length] = [plain.subarray(0, 5), plain[5] ?? 0]
  spellings.push(Buffer.concat([head, Buffer.from([length | 0x80, 0]), plain.subarray(6)]))
  for (const [offset, frame] of spellings.entries()) {
    const reader = new TelemetryReader()
    assert.equal(reader.read(frame, 5), undefined)
    fold.accept(reader, offset, LOG_START_MS + offset)
  }
  const counts = rowsOf(fold.snapshot()).map(({ aggregate }) => aggregate.count)
  assert.deepEqual(counts, [3, 3])
})

test('however a log is split into flushes, the rows of windows without late data are the same, bit for bit', () => {
  const cuts = fc.array(fc.nat(39), { maxLength: 12 })
  fc.assert(
    fc.property(logs(40), cuts, (log, cuts) => {
      const snapshots = run(log, cuts)
      const late = new Set<string>()
      for (const { late: marks } of snapshots) {
        for (const [series, starts] of marks.bySeries) {
          for (const [r, size] of [10_000, 60_000].entries()) {
            for (const start of starts[r] ?? []) late.add(rollupKey(seriesKey(series), size, start))
          }
        }
      }
      const { rollups } = bruteForce(log, ACCEPTED_AGE_MS)
      const table = tableOf(snapshots)
      for (const [key, expected] of rollups) {
        if (!late.has(key)) assert.deepEqual(table.get(key)?.aggregate, expected, key)
      }
      for (const key of table.keys()) assert.ok(rollups.has(key), `invented ${key}`)
    }),
    { numRuns: 400 },
  )
})

test('any order within the lateness and any repetition gives the same rows, bit for bit', () => {
  const sample = fc.record({
    at: fc.integer({ min: 0, max: 14_999 }),
    value: fc.double({ min: -1e3, max: 1e3, noNaN: true }),
  })
  const samples = fc.uniqueArray(sample, { selector: (s) => s.at, minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(
      samples,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      (set, random) => {
        const order = [...set, ...set.slice(0, 7)].map((s) => ({
          s,
          key: random.next().value ?? 0,
        }))
        const shuffled = order.sort((a, b) => a.key - b.key).map(({ s }) => s)
        const logFrom = (list: readonly { at: number; value: number }[]) =>
          list.map(({ at, value }, offset) => ({
            offset,
            appendMs: LOG_START_MS + 15_000,
            record: single(LOG_START_MS + at, value, LOG_START_MS + 15_000),
          }))
        const inOrder = [...set].sort((a, b) => a.at - b.at)
        assert.deepEqual(
          [...contents(tableOf(run(logFrom(shuffled), [3, 9])))].sort(byKey),
          [...contents(tableOf(run(logFrom(inOrder), [])))].sort(byKey),
        )
      },
    ),
    { numRuns: 300 },
  )
})

const byKey = (a: readonly [string, unknown], b: readonly [string, unknown]): number =>
  a[0] < b[0] ? -1 : 1

test('raw rows hold every accepted sample, the first of a record where it repeats one', () => {
  fc.assert(
    fc.property(logs(30), (log) => {
      const { samples } = bruteForce(log, ACCEPTED_AGE_MS)
      const held = new Map<string, number>()
      for (const { raw } of run(log, [])) {
        for (const [k, series] of raw.series.entries()) {
          const at = `${seriesKey(series)}@${raw.tsMs[k]}`
          if (!held.has(at)) held.set(at, raw.values[k] ?? NaN)
        }
      }
      const expected = [...samples].flatMap(([series, times]) =>
        [...times.values()].map((s) => [`${series}@${s.tsMs}`, s.value] as const),
      )
      assert.deepEqual([...held].sort(byKey), expected.sort(byKey))
    }),
    { numRuns: 200 },
  )
})

test('a record is judged by the watermark from before it, so its own samples cannot make each other late', () => {
  const fold = foldOf()
  const record = single(LOG_START_MS, 1, LOG_START_MS + 60_000)
  record.numbers[0]?.dt.push(59_000)
  record.numbers[0]?.v.push(2)
  fold.accept(flatOf(record), 0, LOG_START_MS + 60_000)
  const snapshot = fold.snapshot()
  assert.equal(snapshot?.late.count, 0)
  const first = rowsOf(snapshot).find((row) => row.startMs === LOG_START_MS && row.final)
  assert.deepEqual([first?.resolutionMs, first?.aggregate.count], [10_000, 1])
})

test('the checkpoint holds back to the first record of the oldest open window', () => {
  const fold = foldOf()
  for (const [offset, second] of [0, 9, 11, 30, 31].entries()) {
    const at = LOG_START_MS + second * 1_000
    fold.accept(flatOf(single(at, second)), offset, at)
  }
  const { checkpoint } = fold.snapshot() ?? {}
  // C is 16 s: the first ten seconds are closed, but their minute is open since offset 0.
  assert.deepEqual(checkpoint, {
    resumeOffset: 0,
    position: 5,
    closedToMs: LOG_START_MS + 16_000,
    maxTsMs: LOG_START_MS + 31_000,
    cascadedToMs: LOG_START_MS + 16_000,
  })
})

test('nothing is handed out while replaying, and then only what is new', () => {
  const fold = new PartitionFold(OPTIONS, {
    resumeOffset: 0,
    position: 2,
    closedToMs: LOG_START_MS - 15_000,
    maxTsMs: LOG_START_MS,
    cascadedToMs: LOG_START_MS - 15_000,
  })
  fold.accept(flatOf(single(LOG_START_MS, 1)), 0, LOG_START_MS)
  fold.accept(flatOf(single(LOG_START_MS + 1, 2)), 1, LOG_START_MS + 1)
  assert.equal(fold.snapshot(), undefined)
  assert.deepEqual(fold.takeUnpublished(true), [])
  fold.accept(flatOf(single(LOG_START_MS + 2, 3)), 2, LOG_START_MS + 2)
  const snapshot = fold.snapshot()
  assert.deepEqual(
    [...(snapshot?.raw.tsMs.subarray(0, snapshot.raw.count) ?? [])],
    [LOG_START_MS + 2],
  )
  assert.deepEqual(
    rowsOf(snapshot).map((row) => row.aggregate.count),
    [3, 3],
  )
})

test('samples from the future, from before the raw table, and not finite are refused one by one', () => {
  const fold = foldOf()
  const now = LOG_START_MS
  const record = emptyRecord('d0', now)
  const dt = [-ACCEPTED_AGE_MS - 1, -5, -4, 60_001]
  record.numbers.push({ metric: 'm', t0: now, dt, v: [1, NaN, 3, 4] })
  record.booleans.push({ metric: 'b', t0: now, dt: [60_001], v: [true] })
  const refused = fold.accept(flatOf(record), 0, now)
  assert.deepEqual(refused, { reason: 'too_late', indexes: [0, 1, 3, 4] })
  const raw = fold.snapshot()?.raw
  assert.deepEqual([raw?.count, raw?.values[0]], [1, 3])
})

test('a record of a device of another partition is refused whole, and again while replaying', () => {
  const partitions = 2
  const home = partitionOf(Buffer.from('acme/d0'), partitions)
  const away = { ...OPTIONS, partition: 1 - home, partitions }
  const fold = new PartitionFold(away, freshCheckpoint(0))
  const record = single(LOG_START_MS, 1)
  const refused = fold.accept(flatOf(record), 0, LOG_START_MS)
  assert.deepEqual(refused, { reason: 'partition_wrong', indexes: [0] })
  const snapshot = fold.snapshot()
  assert.deepEqual([snapshot?.raw.count, rowsOf(snapshot), fold.openWindowCount], [0, [], 0])
  assert.equal(snapshot?.checkpoint.resumeOffset, 1)

  const replayed = { ...freshCheckpoint(0), position: 1 }
  const successor = new PartitionFold(away, replayed)
  assert.equal(successor.accept(flatOf(record), 0, LOG_START_MS), undefined)
  assert.equal(successor.openWindowCount, 0)
  const atHome = new PartitionFold({ ...away, partition: home }, freshCheckpoint(0))
  assert.equal(atHome.accept(flatOf(record), 0, LOG_START_MS), undefined)
  assert.equal(atHome.openWindowCount, 2)
})

test('a connector clock that runs ahead moves neither the watermark nor what is believable', () => {
  const fold = foldOf()
  const ahead = LOG_START_MS + 86_400_000
  const refused = fold.accept(flatOf(single(ahead, 1, ahead)), 0, LOG_START_MS)
  assert.deepEqual(refused, { reason: 'clock_skew', indexes: [0] })
  fold.accept(flatOf(single(LOG_START_MS + 50_000, 1, ahead, 'd1')), 1, LOG_START_MS)
  assert.equal(fold.maxTsMs, LOG_START_MS)
})

test('a tick closes the windows of a silent partition', () => {
  const fold = foldOf()
  fold.accept(flatOf(single(LOG_START_MS, 1)), 0, LOG_START_MS)
  const later = LOG_START_MS + 75_000
  fold.accept(flatOf({ ...emptyRecord('', later), tenant: '' }), 1, later)
  assert.equal(fold.openWindowCount, 0)
  assert.ok(rowsOf(fold.snapshot()).every((row) => row.final))
})

test('after a gap in the log, windows that the lost records could lie in are left to raw', () => {
  const fold = foldOf()
  fold.accept(flatOf(single(LOG_START_MS, 1)), 0, LOG_START_MS)
  fold.distrust(9, LOG_START_MS + 1_000)
  fold.accept(flatOf(single(LOG_START_MS + 2_000, 2)), 9, LOG_START_MS + 2_000)
  const snapshot = fold.snapshot()
  assert.deepEqual(rowsOf(snapshot), [])
  assert.equal(snapshot?.late.count, 2)
  assert.equal(snapshot?.checkpoint.position, 10)
})

test('who slept for days before a gap says how old the windows are that are left to raw', () => {
  const fold = foldOf()
  fold.accept(flatOf(single(LOG_START_MS, 1)), 0, LOG_START_MS)
  const newestMs = LOG_START_MS + 13 * ACCEPTED_AGE_MS
  fold.distrust(9, newestMs)
  fold.accept(flatOf(single(newestMs, 2)), 9, newestMs)
  const oldestMs = fold.snapshot()?.oldestLateAppendMs ?? NaN
  assert.ok(oldestMs <= LOG_START_MS + ACCEPTED_AGE_MS, `${oldestMs - LOG_START_MS} ms`)
})

test('a record that a replay cannot read leaves its windows to raw, where it may be whole', () => {
  const fold = new PartitionFold(OPTIONS, {
    resumeOffset: 0,
    position: 3,
    closedToMs: LOG_START_MS - 15_000,
    maxTsMs: LOG_START_MS,
    cascadedToMs: LOG_START_MS - 15_000,
  })
  fold.accept(flatOf(single(LOG_START_MS, 1)), 0, LOG_START_MS)
  fold.skip(1, LOG_START_MS + 1)
  fold.accept(flatOf(single(LOG_START_MS + 11_000, 3)), 2, LOG_START_MS + 11_000)
  assert.equal(fold.snapshot(), undefined)
  fold.accept(flatOf(single(LOG_START_MS + 2, 4)), 3, LOG_START_MS + 12_000)
  const snapshot = fold.snapshot()
  assert.deepEqual(rowsOf(snapshot), [])
  // Two windows of ten seconds and their minute, the one seen only after the skip included.
  assert.equal(snapshot?.late.count, 3)
})

test('a refused commit comes again although nothing else arrives, but never while replaying', () => {
  const fold = foldOf()
  for (const n of [0, 1]) {
    fold.accept(flatOf(single(LOG_START_MS + n, n)), n, LOG_START_MS + n)
  }
  const refused = fold.snapshot()?.checkpoint
  assert.equal(fold.snapshot(), undefined)
  fold.repeatCommit()
  const repeated = fold.snapshot()
  assert.deepEqual([repeated?.checkpoint, repeated?.raw.count], [refused, 0])

  // The window that holds S is not read yet: S would be taken for P.
  const successor = new PartitionFold(OPTIONS, refused ?? freshCheckpoint(0))
  successor.repeatCommit()
  assert.equal(successor.snapshot(), undefined)
})

test('series without an open window are forgotten beyond the bound, and announced again', () => {
  const fold = new PartitionFold({ ...OPTIONS, idleSeriesMax: 10 }, freshCheckpoint(0))
  let announced = 0
  for (let n = 0; n < 100; n += 1) {
    const at = LOG_START_MS + n * 100_000
    fold.accept(flatOf(single(at, n, at, `d${n % 20}`)), n, at)
    announced += fold.snapshot()?.newSeries.length ?? 0
  }
  assert.ok(announced > 20)
})
