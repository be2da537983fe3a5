/**
 * A world for the exactness tests: one log, one set of tables, one committed checkpoint with its
 * history, and owners of the partition that come, flush, crash at any step and linger as zombies.
 * The modules under test are a parameter, so that mutants of them can be driven the same way.
 */
import fc from 'fast-check'
import { MemorySink } from './memory-sink.ts'
import { aroundEach, type RollupSink } from '../sinks/rollup-sink.ts'
import { bruteForce, type Expected, type LoggedRecord, placeOf, rollupKey } from './brute-force.ts'
import type * as checkpoints from '../window/checkpoint.ts'
import { ACCEPTED_AGE_MS } from './fold-log.ts'
import { flatOf } from './flat-telemetry.ts'
import type { PartitionFold } from '../window/partition-fold.ts'
import type * as folds from '../window/partition-fold.ts'
import { RawRows } from '../window/raw-rows.ts'
import { Series } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'
import { CASCADES, RESOLUTIONS_MS } from '../window/tumbling-windows.ts'
import type * as flushes from '../write-flush.ts'

export type Modules = Pick<typeof folds, 'PartitionFold'> &
  Pick<typeof flushes, 'writeRows' | 'settle'> &
  Pick<
    typeof checkpoints,
    'checkpointMetadata' | 'parseCheckpoint' | 'freshCheckpoint' | 'distrustingCheckpoint'
  >

/** Where a flush dies: at which call to the outside, and how much of that call took effect. */
export type Fault = Readonly<{ call: number; effect: 'none' | 'half' | 'all' }> | undefined

export type Action =
  | Readonly<{ kind: 'read'; slot: number; records: number }>
  | Readonly<{ kind: 'flush'; slot: number; fault: Fault }>
  | Readonly<{ kind: 'start'; slot: number; commitsBack: number; latenessMs: number }>
  | Readonly<{ kind: 'startBlind'; slot: number }>

const slot = fc.nat(2)
const fault: fc.Arbitrary<Fault> = fc.option(
  fc.record({ call: fc.nat(7), effect: fc.constantFrom('none', 'half', 'all') }),
  { nil: undefined, freq: 2 },
)
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      slot,
      records: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('flush' as const), slot, fault }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('start' as const),
      slot,
      commitsBack: fc.oneof(fc.constant(0), fc.constant(0), fc.nat(3)),
      latenessMs: fc.constantFrom(15_000, 15_000, 4_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('startBlind' as const), slot }) },
)
export const schedules: fc.Arbitrary<Action[]> = fc.array(action, { maxLength: 30 })

class Crash extends Error {}

type Owner = { fold: PartitionFold; next: number }

export class FlushWorld {
  readonly #modules: Modules
  readonly #log: readonly LoggedRecord[]
  readonly #sink: MemorySink
  readonly #commits: { offset: number; metadata: string }[] = []
  readonly #owners = new Map<number, Owner>()

  constructor(modules: Modules, log: readonly LoggedRecord[], pick: (choices: number) => number) {
    this.#modules = modules
    this.#log = log
    this.#sink = new MemorySink(pick)
  }

  /** Runs the schedule, then lets one last owner finish in peace; gives what is wrong, if anything. */
  async run(schedule: readonly Action[]): Promise<string | undefined> {
    for (const each of schedule) await this.#act(each)
    await this.#act({ kind: 'start', slot: 9, commitsBack: 0, latenessMs: 15_000 })
    await this.#act({ kind: 'read', slot: 9, records: this.#log.length })
    await this.#act({ kind: 'flush', slot: 9, fault: undefined })
    const { closedToMs } = this.#owner(9).fold
    const expected = bruteForce(this.#log, ACCEPTED_AGE_MS)
    return difference(expected, this.#sink) ?? cascadeDifference(expected, this.#sink, closedToMs)
  }

  async #act(action: Action): Promise<void> {
    switch (action.kind) {
      case 'start':
        this.#start(action.slot, action.commitsBack, action.latenessMs)
        return
      case 'startBlind':
        this.#startBlind(action.slot)
        return
      case 'read':
        this.#read(this.#owner(action.slot), action.records)
        return
      case 'flush':
        await this.#flush(action.slot, action.fault)
        return
    }
  }

  #owner(slot: number): Owner {
    return this.#owners.get(slot) ?? this.#start(slot, 0, 15_000)
  }

  #start(slot: number, commitsBack: number, latenessMs: number): Owner {
    const commit = this.#commits.at(-1 - commitsBack) ?? this.#commits[0]
    const { parseCheckpoint, freshCheckpoint } = this.#modules
    const restored =
      commit === undefined ? freshCheckpoint(0) : parseCheckpoint(commit.offset, commit.metadata)
    return this.#begin(slot, restored ?? freshCheckpoint(0), latenessMs)
  }

  /** As if the metadata of the last commit were unreadable. */
  #startBlind(slot: number): void {
    const offset = this.#commits.at(-1)?.offset
    if (offset === undefined) return
    const largestAppendMs = this.#log.reduce((max, { appendMs }) => Math.max(max, appendMs), 0)
    this.#begin(slot, this.#modules.distrustingCheckpoint(offset, largestAppendMs), 15_000)
  }

  #begin(slot: number, restored: checkpoints.FoldCheckpoint, latenessMs: number): Owner {
    const options = {
      partition: 0,
      latenessMs,
      acceptedAgeMs: ACCEPTED_AGE_MS,
      idleSeriesMax: 3,
      foldEpoch: 1,
    }
    const fold = new this.#modules.PartitionFold(options, restored)
    const owner = { fold, next: restored.resumeOffset }
    this.#owners.set(slot, owner)
    return owner
  }

  #read(owner: Owner, records: number): void {
    for (const { offset, appendMs, record } of this.#log.slice(owner.next, owner.next + records)) {
      if (record === undefined) owner.fold.skip(offset, appendMs)
      else owner.fold.accept(flatOf(record), offset, appendMs)
      owner.next = offset + 1
    }
    owner.fold.takeUnpublished(true)
  }

  async #flush(slot: number, fault: Fault): Promise<void> {
    const snapshot = this.#owner(slot).fold.snapshot()
    if (snapshot === undefined) return
    const fuse = new Fuse(fault)
    const { resumeOffset } = snapshot.checkpoint
    const metadata = this.#modules.checkpointMetadata(snapshot.checkpoint)
    const commit = async (): Promise<boolean> => {
      await fuse.around(async () => {
        this.#commits.push({ offset: resumeOffset, metadata })
      })
      return true
    }
    const ports = {
      sink: fused(this.#sink, fuse),
      corrected: () => {},
      checkRawRetention: () => {},
    }
    try {
      await this.#modules.writeRows([snapshot], ports.sink)
      await this.#modules.settle({ snapshot, deadLetters: Promise.resolve(), commit }, ports)
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      this.#owners.delete(slot)
    }
  }
}

/** Blows at one call to the outside. */
class Fuse {
  readonly #fault: Fault
  #calls = 0

  constructor(fault: Fault) {
    this.#fault = fault
  }

  async around<T>(whole: () => Promise<T>, half: () => Promise<unknown> = whole): Promise<T> {
    const fault = this.#calls === this.#fault?.call ? this.#fault : undefined
    this.#calls += 1
    if (fault === undefined) return whole()
    if (fault.effect === 'half') await half()
    if (fault.effect === 'all') await whole()
    throw new Crash('the process was killed here')
  }
}

function fused(sink: MemorySink, fuse: Fuse): RollupSink {
  const someOf = <T>(rows: readonly T[]): T[] => rows.filter((_, index) => index % 2 === 0)
  return {
    ...aroundEach(sink, (call) => fuse.around(call)),
    insertSamples: (batches) =>
      fuse.around(
        () => sink.insertSamples(batches),
        () => sink.insertSamples(batches.map(everyOther)),
      ),
    insertRollups: (batches) =>
      fuse.around(
        () => sink.insertRollups(batches),
        async () => {
          for (const row of someOf(batches.flatMap((rows) => [...rows.each()]))) {
            sink.insertRollup(row)
          }
        },
      ),
  }
}

/** A batch of which the insert took every other row. */
function everyOther(batch: RawRows): RawRows {
  const half = new RawRows(batch.partition)
  for (let row = 0; row < batch.count; row += 2) {
    const [series, text] = [batch.series[row], batch.texts.get(row)]
    if (series === undefined) continue
    if (text !== undefined) half.texts.set(half.count, text)
    const [tsMs, value] = [batch.tsMs[row] ?? NaN, batch.values[row] ?? NaN]
    half.add(series, tsMs, value, batch.offsets[row] ?? NaN, batch.flags[row] ?? 0)
  }
  return half
}

/** What is wrong with samples and folded windows, if anything. */
export function difference(expected: Expected, sink: MemorySink): string | undefined {
  const rollups = new Set<string>()
  for (const [key, times] of expected.samples) {
    const series = seriesFrom(key)
    const stored = sink
      .samples(series)
      .map(({ tsMs, value, text, offset }) => ({ tsMs, value, text, offset }))
    const wanted = [...times.values()].sort((a, b) => a.tsMs - b.tsMs)
    if (!same(stored, wanted)) return `samples of ${key}: ${show(stored)} not ${show(wanted)}`
    for (const tsMs of times.keys()) {
      for (const size of RESOLUTIONS_MS) {
        const startMs = tsMs - (tsMs % size)
        const row = sink.rollup(series, size, startMs)
        const aggregate = expected.rollups.get(rollupKey(key, size, startMs))
        rollups.add(`${series.tenant} ${seriesIdAsBigint(series.id)} ${size} ${startMs}`)
        if (row === undefined) return `missing: ${key} ${size} ${startMs}`
        if (!same(row.aggregate, aggregate)) {
          return `${key} ${size} ${startMs}: ${show(row.aggregate)} not ${show(aggregate)}`
        }
      }
    }
  }
  if (sink.sampleSeriesCount !== expected.samples.size) return 'invented a series'
  const cascaded = new Set<number>(CASCADES.map(({ parentMs }) => parentMs))
  const invented = sink.rollupKeys.find(
    (key) => !rollups.has(key) && !cascaded.has(Number(key.split(' ').at(-2))),
  )
  return invented === undefined ? undefined : `invented: ${invented}`
}

/** Hours and days that have ended by C are what their children make of them. */
export function cascadeDifference(
  expected: Expected,
  sink: MemorySink,
  closedToMs: number,
): string | undefined {
  for (const [key, state] of expected.cascades) {
    const { series, resolutionMs, startMs } = placeOf(key)
    // An owner that closed earlier may have written it before; it will be written again.
    if (startMs + resolutionMs > closedToMs) continue
    const row = sink.rollup(seriesFrom(series), resolutionMs, startMs)
    if (row === undefined) return `missing: ${key}`
    if (!same(row.aggregate, state)) return `${key}: ${show(row.aggregate)} not ${show(state)}`
  }
  return undefined
}

function seriesFrom(key: string): Series {
  const [tenant = '', device = '', metric = '', kind = ''] = key.split('/')
  return new Series(tenant, device, metric, kind as Series['kind']) // The oracle wrote it so.
}

/** Bit for bit: numbers print with all their digits, and -0 is told from 0. */
const show = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) =>
    Object.is(v, -0) ? '-0' : v instanceof Map ? [...v].sort(([a], [b]) => a - b) : v,
  )
const same = (a: unknown, b: unknown): boolean => show(a) === show(b)
