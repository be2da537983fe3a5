/**
 * A sink in front of tables that refuse rows for good, by their type or by a constraint of the table:
 *
 *   raw rows      the records they belong to are found by halves, and named: whoever owns the
 *                 partition next dead-letters them unread. The caller must start again from its
 *                 last commit (RecordsQuarantined), for its windows hold those samples already.
 *   all others    no record can be dead-lettered for them, and without them the tables would be
 *                 wrong: everything waits, loudly, until somebody has repaired the table.
 *
 * A table that takes nothing at all is at fault itself: its records are not dead-lettered, and
 * everything waits.
 */
import { Failure } from '../../platform/failure.ts'
import { aroundEach, type RollupSink } from '../sinks/rollup-sink.ts'
import { sleep, type Timers } from '../timers.ts'
import { RawRows } from '../window/raw-rows.ts'

/** The refused records are named in the journals: who starts from the last commit passes them. */
export class RecordsQuarantined extends Failure {}

type RefusalPorts = Readonly<{
  timers: Timers
  /** The next owner skips the record; false when nobody will tell it. */
  quarantine(partition: number, offset: number, detail: string): boolean
  /** Told when rows are refused and everything begins to wait, at every attempt; then once it ends. */
  standstill(error: Failure | undefined): void
  stopped(): boolean
}>

const AGAIN_MS_MIN = 100
const AGAIN_MS_MAX = 5_000
/** So many refused records, and not one that is taken: it is the table. */
const REFUSED_RECORDS_MAX = 32

/** `sink` repeats by itself what may succeed later: what it throws is for good. */
export function refusalSink(sink: RollupSink, ports: RefusalPorts): RollupSink {
  let hasStored = false
  const patient = aroundEach(sink, (call) => untilTaken(call, ports))

  async function insertSamples(batches: readonly RawRows[]): Promise<void> {
    try {
      await sink.insertSamples(batches)
    } catch (error) {
      if (!isRefusal(error)) throw error
      const refused = await refusedRecords(batches, sink)
      const isTableAtFault =
        refused.taken === 0 && (!hasStored || refused.records.length >= REFUSED_RECORDS_MAX)
      if (!isTableAtFault) throw quarantined(refused.records, error, ports)
      await untilTaken(() => sink.insertSamples(batches), ports)
    }
    hasStored = true
  }

  return { ...patient, insertSamples }
}

async function untilTaken<T>(call: () => Promise<T>, ports: RefusalPorts): Promise<T> {
  for (let delayMs = 0; ; delayMs = Math.min(AGAIN_MS_MAX, 2 * delayMs || AGAIN_MS_MIN)) {
    if (delayMs > 0) await sleep(ports.timers, delayMs)
    try {
      const answer = await call()
      if (delayMs > 0) ports.standstill(undefined)
      return answer
    } catch (error) {
      if (!isRefusal(error) || ports.stopped()) throw error
      ports.standstill(error)
    }
  }
}

const isRefusal = (error: unknown): error is Failure =>
  error instanceof Failure && error.code === 'internal'

type RecordOfRows = Readonly<{ partition: number; offset: number }>

function quarantined(
  records: readonly RecordOfRows[],
  error: Failure,
  { quarantine }: RefusalPorts,
): Failure {
  // ClickHouse names the rule that was broken, and then quotes the row.
  const detail = (error.message.split(/\n|Column values/, 1)[0] ?? '').slice(0, 300)
  const told = records.map(({ partition, offset }) => quarantine(partition, offset, detail))
  const where = records.map(({ partition, offset }) => `${partition}/${offset}`).slice(0, 20)
  const what = `the tables refuse ${records.length} records for good (${where.join(', ')})`
  if (!told.every(Boolean)) {
    const next = 'and there is no journal to name them in: set journalFolder'
    return new Failure('internal', `${what}: ${next}: ${detail}`, { cause: error })
  }
  const next = 'they are dead-lettered after the start that follows'
  return new RecordsQuarantined('internal', `${what}: ${next}: ${detail}`, { cause: error })
}

type Part = Readonly<{ rows: RawRows; from: number; to: number }>

/** Finds the records whose rows are refused. All rows of a record are offered together. */
async function refusedRecords(batches: readonly RawRows[], sink: RollupSink) {
  const records: RecordOfRows[] = []
  let taken = 0
  const parts: Part[] = batches.map((rows) => ({ rows, from: 0, to: rows.count })).toReversed()
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (taken === 0 && records.length >= REFUSED_RECORDS_MAX) break
    if (await isTaken(part, sink)) {
      taken += 1
      continue
    }
    const { rows, from, to } = part
    const middle = recordBoundary(part)
    if (middle === undefined) {
      records.push({ partition: rows.partition, offset: rows.offsets[from] ?? NaN })
    } else {
      parts.push({ rows, from: middle, to }, { rows, from, to: middle })
    }
  }
  return { records, taken }
}

async function isTaken({ rows, from, to }: Part, sink: RollupSink): Promise<boolean> {
  try {
    await sink.insertSamples([rowsBetween(rows, from, to)])
    return true
  } catch (error) {
    if (isRefusal(error)) return false
    throw error
  }
}

/** Where a record begins, as near to the middle as can be; undefined where there is only one. */
function recordBoundary({ rows, from, to }: Part): number | undefined {
  const { offsets } = rows
  const middle = Math.floor((from + to) / 2)
  for (let at = middle; at > from; at -= 1) if (offsets[at] !== offsets[at - 1]) return at
  for (let at = middle + 1; at < to; at += 1) if (offsets[at] !== offsets[at - 1]) return at
  return undefined
}

function rowsBetween(rows: RawRows, from: number, to: number): RawRows {
  const some = new RawRows(rows.partition)
  for (let row = from; row < to; row += 1) {
    const series = rows.series[row]
    if (series === undefined) continue
    const [text, shiftMs] = [rows.texts.get(row), rows.shiftsMs.get(row)]
    if (text !== undefined) some.texts.set(some.count, text)
    if (shiftMs !== undefined) some.shiftsMs.set(some.count, shiftMs)
    const { tsMs, values, offsets, flags } = rows
    some.add(series, tsMs[row] ?? 0, values[row] ?? 0, offsets[row] ?? 0, flags[row] ?? 0)
  }
  return some
}
