/** The books of a slice balance whatever was delivered, and every harm to a table is found. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AuditBooks, HOUR_MS, imbalance } from '../hour-tally.ts'
import { inventedRow, type SeriesIdentity, Slice, type StoredSample } from './slice.ts'

type Delivery = Readonly<{ series: number; ts: number; value: number }>
/** Delivery n is record n; every tenth of an hour one. */
const deliveries = fc.array(
  fc.record({ series: fc.nat(2), ts: fc.nat(12), value: fc.integer({ min: 0, max: 99 }) }),
  { minLength: 1, maxLength: 60 },
)
const cuts = fc.array(fc.nat(60), { maxLength: 5 })
const hourOf = (offset: number): number => Math.floor(offset / 10) * HOUR_MS

const seriesOf = (n: number): SeriesIdentity => ({
  ...{ tenant: n === 2 ? 'other' : 'acme', device: `d${n}`, metric: 'm', kind: 'number' },
  id: String(n),
})
const keyOf = (row: Readonly<{ series: string; tsMs: number }>) => `${row.series} ${row.tsMs}`

/** The raw table as it must be: of each key the first delivery. */
function tableOf(log: readonly Delivery[]): Map<string, StoredSample> {
  const table = new Map<string, StoredSample>()
  for (const [offset, { series, ts, value }] of log.entries()) {
    const { tenant, id } = seriesOf(series)
    const row = { tenant, series: id, tsMs: ts, value, text: '', partition: 0, offset }
    if (!table.has(keyOf(row))) table.set(keyOf(row), row)
  }
  return table
}

/** Audits the log in slices that end at the cuts, as audit-run.ts does. */
function audited(
  log: readonly Delivery[],
  table: ReadonlyMap<string, StoredSample>,
  at: readonly number[],
  isReplayOf: () => boolean = () => false,
): AuditBooks {
  const books = new AuditBooks()
  const ends = [...new Set([...at.filter((end) => end < log.length), log.length])]
  let from = 0
  for (const to of ends.sort((a, b) => a - b)) {
    const slice = new Slice(books)
    for (let offset = from; offset < to; offset += 1) {
      const { series, ts, value } = log[offset] ?? { series: 0, ts: 0, value: 0 }
      const hourMs = hourOf(offset)
      books.tally(seriesOf(series).tenant, hourMs).produced += 1
      slice.add(seriesOf(series), { tsMs: ts, value, text: '' }, { partition: 0, offset, hourMs })
    }
    for (const row of table.values()) {
      if (row.offset < from || row.offset >= to) continue
      if (row.tsMs >= slice.tsMsMin && row.tsMs <= slice.tsMsMax) {
        slice.rowFromSlice(row, hourOf(row.offset))
        continue
      }
      const tally = books.tally(row.tenant, hourOf(row.offset))
      tally.stored += 1
      inventedRow(books, tally, row)
    }
    for (const open of slice.open()) {
      slice.rowOfOpen(open, table.get(`${open.series.id} ${open.tsMs}`))
    }
    slice.judgeDisplaced(isReplayOf)
    from = to
  }
  books.close()
  return books
}

test('what was delivered any number of times, in slices of any size, is found in its table', () => {
  fc.assert(
    fc.property(deliveries, cuts, (log, at) => {
      const table = tableOf(log)
      const books = audited(log, table, at)
      assert.deepEqual(books.findings, [])
      const tallies = books.tallies()
      assert.equal(
        tallies.reduce((sum, { stored }) => sum + stored, 0),
        table.size,
      )
      assert.equal(tallies.reduce((sum, { duplicates }) => sum + duplicates, 0), log.length - table.size) // prettier-ignore
    }),
  )
})

const harm = fc.constantFrom('delete', 'alter', 'invent', 'displace')

test('one row deleted, altered, invented or displaced is one finding, and the books balance', () => {
  fc.assert(
    fc.property(deliveries, cuts, harm, fc.nat(), (log, at, kind, pick) => {
      const table = tableOf(log)
      const row = [...table.values()][pick % table.size]
      assert.ok(row !== undefined)
      const later = log.findLastIndex(({ series, ts }) => `${series} ${ts}` === keyOf(row))
      if (kind === 'delete') table.delete(keyOf(row))
      else if (kind === 'alter') table.set(keyOf(row), { ...row, value: row.value + 1 })
      else if (kind === 'invent') table.set('x', { ...row, tsMs: row.tsMs + 100 })
      else table.set(keyOf(row), { ...row, offset: later, value: log[later]?.value ?? 0 })
      const books = audited(log, table, at)
      const expected = {
        ...{ delete: 'sample_missing', alter: 'sample_altered', invent: 'sample_invented' },
        displace: later === row.offset ? undefined : 'sample_altered',
      }[kind]
      // A row deleted is missed by each slice that delivers it.
      const kinds = new Set(books.findings.map((finding) => finding.kind))
      assert.deepEqual([...kinds], expected === undefined ? [] : [expected])
      for (const tally of books.tallies()) assert.equal(imbalance(tally), 0)
    }),
  )
})

test('a row that holds the replay of the first delivery is right, if its value is', () => {
  const log = [0, 1, 2].map(() => ({ series: 0, ts: 5, value: 42 }))
  const row = [...tableOf(log).values()][0] ?? assert.fail('no row')
  const displaced = new Map([[keyOf(row), { ...row, offset: 2 }]])
  // In one slice, and where the replay comes in a later one.
  for (const at of [[], [1], [2], [1, 2]]) {
    const books = audited(log, displaced, at, () => true)
    assert.deepEqual(books.findings, [])
    for (const tally of books.tallies()) assert.equal(imbalance(tally), 0)
    assert.notDeepEqual(audited(log, displaced, at).findings, [])
  }
  const altered = new Map([[keyOf(row), { ...row, offset: 2, value: 43 }]])
  for (const at of [[], [2]]) {
    const [finding] = audited(log, altered, at, () => true).findings
    assert.equal(finding?.kind, 'sample_altered')
  }
})
