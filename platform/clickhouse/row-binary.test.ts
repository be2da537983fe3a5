import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { testStack } from '../../test/stack.ts'
import { Clickhouse } from './clickhouse.ts'
import { RowBinaryWriter } from './row-binary.ts'

describe('RowBinaryWriter bytes', () => {
  test('integers are little-endian', () => {
    const rows = new RowBinaryWriter()
    rows.u8(1)
    rows.u16(0x0203)
    rows.u32(0x04050607)
    rows.i16(-2)
    rows.u64FromNumber(2 ** 40 + 1)
    rows.u64FromHalves(0xffff_ffff, 0xffff_ffff)
    rows.u64FromHalves(1, 2)
    assert.equal(
      rows.take().toString('hex'),
      '01' +
        '0302' +
        '07060504' +
        'feff' +
        '0100000000010000' +
        'ffffffffffffffff' +
        '0200000001000000',
    )
  })

  test('a string longer than 127 bytes has a length of two bytes', () => {
    const rows = new RowBinaryWriter(64)
    rows.string('é'.repeat(100))
    const bytes = rows.take()
    assert.deepEqual([...bytes.subarray(0, 2)], [0xc8, 0x01])
    assert.equal(bytes.subarray(2).toString(), 'é'.repeat(100))
  })

  test('take gives each row once and later writes do not touch what was taken', () => {
    const rows = new RowBinaryWriter(64)
    rows.u8(7)
    const first = rows.take()
    rows.u8(9)
    assert.deepEqual([...first], [7])
    assert.deepEqual([...rows.take()], [9])
    assert.equal(rows.take().length, 0)
  })

  for (const value of [-1, 1.5, 2 ** 53, Number.NaN]) {
    test(`u64FromNumber refuses ${value}`, () => {
      assert.throws(() => new RowBinaryWriter().u64FromNumber(value), RangeError)
    })
  }

  test('dateTime64 refuses a time that is not whole milliseconds', () => {
    assert.throws(() => new RowBinaryWriter().dateTime64(0.5), RangeError)
  })
})

describe('RowBinaryWriter against ClickHouse', () => {
  let clickhouse: Clickhouse
  let table = ''
  before(async () => {
    const stack = await testStack()
    table = `${stack.namespace}rows`
    clickhouse = new Clickhouse({
      url: stack.clickhouse.url,
      database: 'default',
      user: 'default',
      password: '',
    })
    await clickhouse.command(`CREATE TABLE ${table} (n UInt64, i Int16, f Float64, t String,
      c LowCardinality(String), d DateTime('UTC'), m DateTime64(3, 'UTC'), p Map(Int16, UInt32))
      ENGINE = MergeTree ORDER BY n`)
  })
  after(async () => {
    await clickhouse.command(`DROP TABLE IF EXISTS ${table}`)
    await clickhouse.close()
  })

  const row = fc.record({
    i: fc.integer({ min: -32768, max: 32767 }),
    f: fc.double({ noNaN: true, noDefaultInfinity: true }),
    t: fc.string({ unit: 'binary', maxLength: 400 }),
    c: fc.constantFrom('', 'number', 'boolean', 'ä'),
    seconds: fc.integer({ min: 0, max: 4_000_000_000 }),
    ms: fc.integer({ min: -1_000_000_000_000, max: 4_000_000_000_000 }),
    p: fc.array(fc.tuple(fc.integer({ min: -32768, max: 32767 }), fc.nat()), { maxLength: 20 }),
  })

  test('every value is read back as it was written, to the last bit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 50 }), async (rows) => {
        const writer = new RowBinaryWriter(64)
        rows.forEach((one, n) => {
          writer.u64FromNumber(n)
          writer.i16(one.i)
          writer.f64(one.f)
          writer.string(one.t)
          writer.string(one.c)
          writer.dateTime(one.seconds * 1000 + 999)
          writer.dateTime64(one.ms)
          writer.map(new Map(one.p), (key, value) => {
            writer.i16(key)
            writer.u32(value)
          })
        })
        await clickhouse.command(`TRUNCATE TABLE ${table}`)
        const columns = ['n', 'i', 'f', 't', 'c', 'd', 'm', 'p']
        await clickhouse.insert({ table, columns, rows: [writer.take()] })
        const stored = await clickhouse.select<Record<string, unknown>>(
          `SELECT i, reinterpretAsUInt64(f) AS f, base64Encode(t) AS t, c, toUnixTimestamp(d) AS d,
             toString(toUnixTimestamp64Milli(m)) AS m, mapSort(p) AS p FROM ${table} ORDER BY n`,
        )
        assert.deepEqual(stored, rows.map(expected))
      }),
      { numRuns: 10 },
    )
  })

  test('an empty insert sends nothing and two buffers are one insert', async () => {
    const writer = new RowBinaryWriter()
    writer.u64FromNumber(1)
    const bytes = writer.take()
    await clickhouse.command(`TRUNCATE TABLE ${table}`)
    await clickhouse.insert({ table, columns: ['n'], rows: [] })
    await clickhouse.insert({
      table,
      columns: ['n'],
      rows: [bytes.subarray(0, 3), bytes.subarray(3)],
    })
    const [counted] = await clickhouse.select<{ rows: string }>(
      `SELECT count() AS rows FROM ${table}`,
    )
    assert.equal(counted?.rows, '1')
  })
})

type Row = Readonly<{
  i: number
  f: number
  t: string
  c: string
  seconds: number
  ms: number
  p: readonly [number, number][]
}>

function expected(row: Row): Record<string, unknown> {
  const bits = Buffer.alloc(8)
  bits.writeDoubleLE(row.f)
  const sorted = [...new Map(row.p)].toSorted(([a], [b]) => a - b)
  return {
    i: row.i,
    f: bits.readBigUInt64LE().toString(),
    t: Buffer.from(row.t).toString('base64'),
    c: row.c,
    d: row.seconds,
    m: String(row.ms),
    p: Object.fromEntries(sorted.map(([key, value]) => [String(key), value])),
  }
}
