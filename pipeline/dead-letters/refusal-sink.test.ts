import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Failure } from '../../platform/failure.ts'
import { MemorySink } from '../testing/memory-sink.ts'
import type { RollupSink } from '../sinks/rollup-sink.ts'
import type { Timers } from '../timers.ts'
import { RawRows } from '../window/raw-rows.ts'
import { RollupRows } from '../window/rollup-row.ts'
import { Series } from '../window/series.ts'
import { refusalSink } from './refusal-sink.ts'

const BAD = 666
const series = new Series('acme', 'd1', 'm', 'number')
const atOnce: Timers = {
  after(_delayMs, task) {
    queueMicrotask(task)
    return () => {}
  },
}

/** Tables with a rule: an insert with a bad value is refused whole. */
function ruled(tables: MemorySink, isBad: (value: number) => boolean): RollupSink {
  return Object.assign(Object.create(tables) as RollupSink, {
    async insertSamples(batches: readonly RawRows[]) {
      for (const { values, count } of batches) {
        if (values.subarray(0, count).some(isBad)) throw new Failure('internal', 'rule broken')
      }
      await tables.insertSamples(batches)
    },
  })
}

/** One record for each list, its values at times of their own. */
function rowsOf(partition: number, records: readonly (readonly number[])[]): RawRows {
  const rows = new RawRows(partition)
  let tsMs = partition * 1_000_000
  for (const [offset, values] of records.entries()) {
    for (const value of values) rows.add(series, tsMs++, value, offset, 0)
  }
  return rows
}

const value = fc.oneof(
  { weight: 12, arbitrary: fc.nat(99) },
  { weight: 1, arbitrary: fc.constant(BAD) },
)
const records = fc.array(fc.array(value, { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 25,
})

function portsOf(quarantine: (partition: number, offset: number) => boolean) {
  return { timers: atOnce, quarantine, standstill: () => {}, stopped: () => false }
}

test('exactly the records with a refused row are named, and every other row is stored', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(records, { minLength: 1, maxLength: 3 }), async (partitions) => {
      const tables = new MemorySink()
      const named: string[] = []
      const sink = refusalSink(
        ruled(tables, (value) => value === BAD),
        portsOf((partition, offset) => named.push(`${partition}/${offset}`) > 0),
      )
      await sink.insertSamples([rowsOf(9, [[1]])]) // The table is known to take something.
      const batches = partitions.map((records, partition) => rowsOf(partition, records))
      const isBad = (record: readonly number[]): boolean => record.includes(BAD)
      const expected = partitions.flatMap((records, partition) =>
        records.flatMap((record, offset) => (isBad(record) ? [`${partition}/${offset}`] : [])),
      )
      const good = partitions.flatMap((records) => records.filter((record) => !isBad(record)))
      const outcome = sink.insertSamples(batches)
      if (expected.length === 0) await outcome
      else await assert.rejects(outcome, /dead-lettered after the start/)
      assert.deepEqual(named.sort(), expected.sort())
      assert.equal(tables.samples(series).length, 1 + good.flat().length)
    }),
    { numRuns: 200 },
  )
})

test('a table that takes nothing is at fault itself: nothing is named, everything waits', async () => {
  let broken = true
  let waits = 0
  const tables = new MemorySink()
  const ports = {
    ...portsOf(() => assert.fail('a record was named')),
    standstill: (error: Failure | undefined) => {
      if (error !== undefined && ++waits === 3) broken = false
    },
  }
  const sink = refusalSink(
    ruled(tables, () => broken),
    ports,
  )
  await sink.insertSamples([
    rowsOf(
      0,
      Array.from({ length: 100 }, () => [1]),
    ),
  ])
  assert.equal(waits, 3)
  assert.equal(tables.samples(series).length, 100)
})

test('a refused rollup row names no record: it waits until the table takes it', async () => {
  const states: boolean[] = []
  let refusals = 4
  const tables = Object.assign(Object.create(new MemorySink()) as RollupSink, {
    async insertRollups() {
      if (refusals-- > 0) throw new Failure('internal', 'no such column')
    },
  })
  const sink = refusalSink(tables, {
    ...portsOf(() => assert.fail('a record was named')),
    standstill: (error) => states.push(error !== undefined),
  })
  await sink.insertRollups([new RollupRows(60_000)])
  assert.deepEqual(states, [true, true, true, true, false])
})

test('without a journal the failure says what is missing', async () => {
  const sink = refusalSink(
    ruled(new MemorySink(), (value) => value === BAD),
    portsOf(() => false),
  )
  await assert.rejects(sink.insertSamples([rowsOf(0, [[1], [BAD]])]), /journalFolder/)
})
