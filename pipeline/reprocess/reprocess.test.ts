/**
 * Reprocessing beside a pipeline that flushes, in every order of their calls to the tables. An old
 * release left wrong rows behind; in the end the tables equal brute force, hours included.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../platform/clock.ts'
import { tickRecord } from '../../schemas/telemetry.ts'
import { aroundEach, type RollupSink } from '../sinks/rollup-sink.ts'
import { bruteForce, type LoggedRecord } from '../testing/brute-force.ts'
import { flatOf } from '../testing/flat-telemetry.ts'
import { ACCEPTED_AGE_MS, LOG_START_MS, logs } from '../testing/fold-log.ts'
import { cascadeDifference, difference } from '../testing/memory-differences.ts'
import { MemorySink } from '../testing/memory-sink.ts'
import { systemTimers } from '../timers.ts'
import { checkpointMetadata, freshCheckpoint, parseCheckpoint } from '../window/checkpoint.ts'
import { PartitionFold } from '../window/partition-fold.ts'
import { RollupRows } from '../window/rollup-row.ts'
import type { Series, SeriesRef } from '../window/series.ts'
import { FOLD_EPOCH } from '../window/window-version.ts'
import { settle, writeRows } from '../write-flush.ts'
import type { RawSampleFold, RawSource } from './raw-samples.ts'
import { reprocess } from './reprocess.ts'
import { seriesName } from './stored-windows.ts'
import type { HourCount, Stretch } from './stretches.ts'

const HOUR_MS = 3_600_000
const OLD_EPOCH = FOLD_EPOCH - 1
const END_MS = LOG_START_MS + 3 * HOUR_MS

/** Tables in memory, with what ClickHouse would be asked for raw samples. */
class Tables extends MemorySink implements RawSource {
  readonly #series = new Map<string, Series>()

  override async insertSeries(series: readonly Series[]): Promise<void> {
    for (const each of series) this.#series.set(seriesName(each), each)
    await super.insertSeries(series)
  }

  async hours(fromMs: number, toMs: number): Promise<readonly HourCount[]> {
    const all = [...this.#series.values()].flatMap((series) => this.samples(series))
    const starts = new Set(all.map(({ tsMs }) => tsMs - (tsMs % HOUR_MS)))
    const hours = [...starts].filter((startMs) => startMs >= fromMs && startMs < toMs)
    return hours.sort((a, b) => a - b).map((startMs) => ({ partition: 0, startMs, samples: 1 }))
  }

  async read({ startMs, spanMs }: Stretch, fold: RawSampleFold): Promise<void> {
    for (const series of this.#series.values()) {
      for (const { tsMs, value, text, offset } of this.samples(series)) {
        if (tsMs < startMs || tsMs >= startMs + spanMs) continue
        // A block of rows may begin with any of them, and has its own objects.
        const placed = { tenant: series.tenant, id: { ...series.id }, partition: 0 }
        fold.add(placed, tsMs, value, text, offset)
      }
    }
  }

  async kinds(): Promise<ReadonlyMap<string, boolean>> {
    return new Map([...this.#series].map(([name, { kind }]) => [name, kind === 'text']))
  }

  async chosenSeries(): Promise<undefined> {}
}

/** The same, where every call waits for its turn. */
function inTurn(tables: Tables, turn: () => Promise<unknown>): RawSource {
  return {
    hours: (fromMs, toMs) => turn().then(() => tables.hours(fromMs, toMs)),
    kinds: () => turn().then(() => tables.kinds()),
    read: (hour, fold) => turn().then(() => tables.read(hour, fold)),
    chosenSeries: () => turn().then(() => tables.chosenSeries()),
  }
}

/** What the old release wrote: every sum is off by one. */
function falsifying(tables: Tables): RollupSink {
  return {
    ...aroundEach(tables, (call) => call()),
    async insertRollups(batches) {
      for (const rows of batches) {
        const wrong = new RollupRows<SeriesRef>(rows.resolutionMs)
        for (const { aggregate, ...head } of rows.each()) {
          wrong.addMerged(head, { ...aggregate, sum: aggregate.sum + 1 })
        }
        await tables.insertRollups([wrong])
      }
    },
  }
}

/** One release at work on the log; the next one starts from what it committed. */
class Release {
  committed = checkpointOf(freshCheckpoint(0))
  flushing: Promise<unknown> = Promise.resolve()
  #fold: PartitionFold | undefined
  #next = 0

  begin(foldEpoch: number): void {
    const restored = parseCheckpoint(this.committed.offset, this.committed.metadata)
    const checkpoint = restored ?? assert.fail('unreadable commit')
    const place = { partition: 0, partitions: 1 }
    const options = { ...place, latenessMs: 15_000, acceptedAgeMs: ACCEPTED_AGE_MS }
    this.#fold = new PartitionFold({ ...options, idleSeriesMax: 3, foldEpoch }, checkpoint)
    this.#next = checkpoint.resumeOffset
  }

  async flush(log: readonly LoggedRecord[], to: number, sink: RollupSink): Promise<void> {
    const fold = this.#fold ?? assert.fail('not begun')
    for (const { offset, appendMs, record } of log.slice(this.#next, to)) {
      if (record === undefined) fold.skip(offset, appendMs)
      else fold.accept(flatOf(record), offset, appendMs)
      this.#next = offset + 1
    }
    const snapshot = fold.snapshot()
    if (snapshot === undefined) return
    const committed = checkpointOf(snapshot.checkpoint)
    const commit = async (): Promise<boolean> => {
      this.committed = committed
      return true
    }
    const ports = { sink, corrected: () => {}, checkRawRetention: () => {} }
    const run = async (): Promise<void> => {
      await writeRows([snapshot], sink)
      await settle({ snapshot, deadLetters: Promise.resolve(), commit }, ports)
    }
    this.flushing = run()
    await this.flushing
  }

  get closedToMs(): number {
    const { offset, metadata } = this.committed
    return parseCheckpoint(offset, metadata)?.closedToMs ?? 0
  }
}

const checkpointOf = (checkpoint: Parameters<typeof checkpointMetadata>[0]) => ({
  offset: checkpoint.resumeOffset,
  metadata: checkpointMetadata(checkpoint),
})

/** The log, and a record of nothing but time that closes every window in it. */
function ended(log: readonly LoggedRecord[]): LoggedRecord[] {
  return [...log, { offset: log.length, appendMs: END_MS, record: tickRecord(END_MS) }]
}

type Case = Readonly<{
  log: LoggedRecord[]
  cuts: readonly number[]
  scheduler: fc.Scheduler
  waits: boolean
}>

async function outcome({ log, cuts, scheduler, waits }: Case): Promise<string | undefined> {
  const [a = 0, b = 0] = cuts.map((cut) => cut % (log.length + 1)).sort((x, y) => x - y)
  const tables = new Tables()
  const release = new Release()
  release.begin(OLD_EPOCH)
  await release.flush(log, a, falsifying(tables))
  release.begin(FOLD_EPOCH)
  const turn = (who: string) => scheduler.schedule(Promise.resolve(), who)
  const inAnyOrder = (who: string): RollupSink => aroundEach(tables, (call) => turn(who).then(call))
  const pipeline = async (): Promise<void> => {
    await release.flush(log, b, inAnyOrder('pipeline'))
    await release.flush(log, log.length, inAnyOrder('pipeline'))
  }
  const operator = reprocess(
    { fromMs: LOG_START_MS - 2 * HOUR_MS, toMs: END_MS, dryRun: false, perSecond: 0 },
    {
      ...{ sink: inAnyOrder('reprocess'), raw: inTurn(tables, () => turn('reprocess')) },
      closedToMs: async () => new Map([[0, release.closedToMs]]),
      settled: async () => void (waits && (await release.flushing)),
      ...{ clock: systemClock, timers: systemTimers, progress: () => {} },
    },
  )
  await scheduler.waitFor(Promise.all([pipeline(), operator]))
  const expected = bruteForce(log, ACCEPTED_AGE_MS)
  return difference(expected, tables) ?? cascadeDifference(expected, tables, release.closedToMs)
}

const cuts = fc.tuple(fc.nat(50), fc.nat(50))

test('in any order of its calls and the pipeline’s, the tables end as brute force says', async () => {
  await fc.assert(
    fc.asyncProperty(logs(40), cuts, fc.scheduler(), async (log, cuts, scheduler) => {
      assert.equal(await outcome({ log: ended(log), cuts, scheduler, waits: true }), undefined)
    }),
    { numRuns: 300, endOnFailure: true },
  )
})

test('the property fails when reprocessing does not wait for flushes that began before', async () => {
  const property = fc.asyncProperty(
    logs(40),
    cuts,
    fc.scheduler(),
    async (log, cuts, scheduler) => {
      assert.equal(await outcome({ log: ended(log), cuts, scheduler, waits: false }), undefined)
    },
  )
  const { failed } = await fc.check(property, { numRuns: 3_000, endOnFailure: true })
  assert.ok(failed, 'nothing depends on the wait')
})
