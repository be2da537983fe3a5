/** The Native format against the real server: what is written is read back to the last bit. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { testStack } from '../../test/stack.ts'
import { ClickhouseError } from './clickhouse-error.ts'
import { Clickhouse } from './clickhouse.ts'
import { type NativeColumns, readNative } from './native-reader.ts'
import { NativeBlock } from './native-writer.ts'

const COLUMNS = `n UInt64, h UInt64, i Int64, a UInt8, b UInt16, u UInt32, f Float64, t String,
  e String, c LowCardinality(String), k LowCardinality(String), d DateTime('UTC'),
  m DateTime64(3, 'UTC'), p Map(Int16, UInt32)`

let clickhouse: Clickhouse
let table: string
let url: string
before(async () => {
  const stack = await testStack()
  url = stack.clickhouse.url
  table = `${stack.namespace}native`
  clickhouse = connect(url)
  await clickhouse.command(`CREATE TABLE ${table} (${COLUMNS}) ENGINE = MergeTree ORDER BY n`)
})
after(async () => {
  await clickhouse.command(`DROP TABLE IF EXISTS ${table}`)
  await clickhouse.close()
})

const connect = (at: string): Clickhouse =>
  new Clickhouse({ url: at, database: 'default', user: 'default', password: '' })

const row = fc.record({
  high: fc.nat({ max: 0xffff_ffff }),
  low: fc.nat({ max: 0xffff_ffff }),
  i: fc.maxSafeInteger(),
  a: fc.nat({ max: 0xff }),
  b: fc.nat({ max: 0xffff }),
  f: fc.double(),
  t: fc.oneof(fc.constant(''), fc.string({ unit: 'binary', maxLength: 400 })),
  c: fc.constantFrom('', 'number', 'boolean', 'ä'.repeat(100)),
  seconds: fc.nat({ max: 0xffff_ffff }),
  ms: fc.integer({ min: -2_000_000_000_000, max: 9_000_000_000_000 }),
  p: fc.uniqueArray(fc.tuple(fc.integer({ min: -32768, max: 32767 }), fc.nat()), {
    maxLength: 8,
    selector: ([key]) => key,
  }),
})
type Row = typeof row extends fc.Arbitrary<infer R> ? R : never

/** More elements than rows: what lies behind the last row must not be sent. */
const SPARE = 3

function blockOf(rows: readonly Row[], firstNumber: number): NativeBlock {
  const length = rows.length + SPARE
  const f64 = (pick: (one: Row) => number) =>
    Float64Array.from({ length }, (_, k) => pick(rows[k] ?? ZERO))
  const u32 = (pick: (one: Row) => number) => Uint32Array.from(f64(pick))
  const dictionary = [...new Set(rows.map((one) => one.c))]
  const entries = rows.flatMap((one) => one.p)
  let end = 0
  const ends = u32((one) => (end += one.p.length))
  return new NativeBlock(rows.length)
    .u64FromNumbers('n', Float64Array.from({ length }, (_, k) => firstNumber + k))
    .u64FromHalves('h', u32((one) => one.high), u32((one) => one.low))
    .i64FromNumbers('i', f64((one) => one.i))
    .u8('a', Uint8Array.from(f64((one) => one.a)))
    .u16('b', Uint16Array.from(f64((one) => one.b)))
    .u32('u', u32((one) => one.low))
    .f64('f', f64((one) => one.f))
    .string('t', rows.map((one) => one.t)) // prettier-ignore
    .emptyStrings('e')
    .lowCardinality('c', dictionary, Uint16Array.from(rows, (one) => dictionary.indexOf(one.c)))
    .lowCardinalityConstant('k', 'acme')
    .dateTime('d', f64((one) => one.seconds * 1000 + 999))
    .dateTime64('m', f64((one) => one.ms))
    .mapI16U32('p', ends, Int16Array.from(entries, ([key]) => key), Uint32Array.from(entries, ([, value]) => value)) // prettier-ignore
}

const ZERO: Row = {
  high: 0,
  low: 0,
  i: 0,
  a: 0,
  b: 0,
  f: 0,
  t: '',
  c: '',
  seconds: 0,
  ms: 0,
  p: [],
}

/** The rows of a block as objects; bits of doubles as text, for NaN and -0 are values too. */
function rowsOf(block: NativeColumns): Record<string, unknown>[] {
  const c = block.lowCardinality('c')
  const k = block.lowCardinality('k')
  const words = block.u64Words('h')
  const p = block.mapI16U32('p')
  return Array.from({ length: block.rows }, (_, at) => ({
    n: block.u64AsNumbers('n')[at],
    h: [words[2 * at + 1], words[2 * at]],
    i: block.i64AsNumbers('i')[at],
    a: block.u8('a')[at],
    b: block.u16('b')[at],
    u: block.u32('u')[at],
    f: bitsOf(block.f64('f')[at] ?? 0),
    t: block.string('t')[at],
    e: block.string('e')[at],
    c: c.dictionary[c.indexes[at] ?? -1],
    k: k.dictionary[k.indexes[at] ?? -1],
    d: block.timeMs('d')[at],
    m: block.timeMs('m')[at],
    p: Array.from(p.keys.slice(p.ends[at - 1] ?? 0, p.ends[at]), (key, e) => [
      key,
      p.values[(p.ends[at - 1] ?? 0) + e],
    ]),
  }))
}

const expected = (one: Row, n: number): Record<string, unknown> => ({
  n,
  h: [one.high, one.low],
  i: one.i,
  a: one.a,
  b: one.b,
  u: one.low,
  f: bitsOf(one.f),
  // A lone surrogate is no character; UTF-8 has U+FFFD for it.
  t: Buffer.from(one.t).toString(),
  e: '',
  c: one.c,
  k: 'acme',
  d: one.seconds * 1000,
  m: one.ms,
  p: one.p,
})

function bitsOf(value: number): string {
  const bits = Buffer.alloc(8)
  bits.writeDoubleLE(value)
  return bits.toString('hex')
}

async function blocksOf(text: string, settings = {}): Promise<NativeColumns[]> {
  const blocks: NativeColumns[] = []
  await clickhouse.selectNative(text, {}, { settings, onBlock: (block) => void blocks.push(block) })
  return blocks
}

async function answerOf(text: string): Promise<Buffer> {
  const response = await fetch(url, { method: 'POST', body: `${text} FORMAT Native` })
  return Buffer.from(await response.arrayBuffer())
}

describe('Native blocks', () => {
  test('come back as they were written, to the last bit, whatever the sizes of the blocks', async () => {
    const batches = fc.array(fc.array(row, { maxLength: 40 }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 1, max: 50 }), async (rows, blockRows) => {
        await clickhouse.command(`TRUNCATE TABLE ${table}`)
        let next = 0
        const blocks = rows.map((batch) => blockOf(batch, (next += batch.length) - batch.length))
        await clickhouse.insertNative({ table, blocks })
        const settings = { max_block_size: String(blockRows) }
        const read = await blocksOf(`SELECT * FROM ${table} ORDER BY n`, settings)
        assert.deepEqual(read.flatMap(rowsOf), rows.flat().map(expected))
      }),
      { numRuns: 25 },
    )
  })

  test('are one block, all there or not at all, however they are cut on the way', async () => {
    const rows = fc.sample(row, { numRuns: 30, seed: 4 })
    await clickhouse.command(`TRUNCATE TABLE ${table}`)
    await clickhouse.insertNative({ table, blocks: [blockOf(rows, 0)] })
    const answer = await answerOf(`SELECT * FROM ${table} ORDER BY n`)
    const chunkBytes = fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(chunkBytes, fc.nat({ max: answer.length - 1 }), async (sizes, end) => {
        const read: NativeColumns[] = []
        await readNative(cut(answer, sizes), (block) => void read.push(block))
        assert.deepEqual(read.flatMap(rowsOf), rows.map(expected))

        const short = readNative(cut(answer.subarray(0, end), sizes), () =>
          assert.fail('a block that is not there'),
        )
        if (end === 0) await short
        else await assert.rejects(short, ClickhouseError)
      }),
      { numRuns: 200 },
    )
  })

  test('indexes of one, two and four bytes name the same keys', async () => {
    const dictionary = Array.from({ length: 300 }, (_, k) => `key ${k}`)
    for (const indexes of [
      Uint8Array.of(255, 0, 7),
      Uint16Array.of(299, 0, 7),
      Uint32Array.of(299, 0, 7),
    ]) {
      const block = new NativeBlock(3)
        .u64FromNumbers('n', [0, 1, 2])
        .lowCardinality('c', dictionary, indexes)
      await clickhouse.command(`TRUNCATE TABLE ${table}`)
      await clickhouse.insertNative({ table, blocks: [block] })
      const [read] = await blocksOf(`SELECT c FROM ${table} ORDER BY n`)
      const column = read?.lowCardinality('c')
      assert.deepEqual(
        Array.from(column?.indexes ?? [], (index) => column?.dictionary[index]),
        [`key ${indexes[0]}`, 'key 0', 'key 7'],
      )
    }
  })

  test('an answer larger than a block of the server arrives in several', async () => {
    const read = await blocksOf('SELECT number AS n, toString(number) AS t FROM numbers(200000)')
    assert.ok(read.length > 1)
    let n = 0
    for (const block of read) {
      const numbers = block.u64AsNumbers('n')
      const texts = block.string('t')
      for (let k = 0; k < block.rows; k += 1, n += 1) {
        if (numbers[k] !== n || texts[k] !== String(n)) assert.fail(`row ${n}`)
      }
    }
    assert.equal(n, 200_000)
  })

  test('with a key twice are two rows of one part, of which FINAL gives the newer', async () => {
    const replacing = `${table}_replacing`
    await clickhouse.command(`CREATE TABLE ${replacing} (k UInt64, v UInt64)
      ENGINE = ReplacingMergeTree(v) PARTITION BY intDiv(k, 10000) ORDER BY k`)
    await clickhouse.command(`SYSTEM STOP MERGES ${replacing}`)
    const numbers = Float64Array.from({ length: 60_000 }, (_, k) => k)
    const keys = numbers.map((k) => Math.floor(k / 3))
    const block = new NativeBlock(60_000).u64FromNumbers('k', keys).u64FromNumbers('v', numbers)
    await clickhouse.insertNative({ table: replacing, blocks: [block] })
    const read = await blocksOf(`SELECT k, v FROM ${replacing} FINAL ORDER BY k`)
    const versions = read.flatMap((each) => [...each.u64AsNumbers('v')])
    assert.deepEqual(
      versions,
      Array.from({ length: 20_000 }, (_, k) => 3 * k + 2),
    )
    await clickhouse.command(`DROP TABLE ${replacing}`)
  })

  test('no rows are no block, in both directions', async () => {
    await clickhouse.insertNative({ table, blocks: [] })
    await clickhouse.insertNative({ table, blocks: [new NativeBlock(0).u8('a', 1)] })
    assert.deepEqual(await blocksOf(`SELECT * FROM ${table} WHERE n = 1 AND n = 2`), [])
  })

  test('parameters are values', async () => {
    let text: string | undefined
    const onBlock = (block: NativeColumns) => void (text = block.string('t')[0])
    await clickhouse.selectNative('SELECT {t:String} AS t', { t: `' OR 1 --` }, { onBlock })
    assert.equal(text, `' OR 1 --`)
  })
})

describe('a Native answer that goes wrong', () => {
  test('with an error after its first blocks rejects, and does not end', async () => {
    let rows = 0
    const call = clickhouse.selectNative(
      'SELECT throwIf(number = 200000) AS x FROM numbers(300000)',
      {},
      { onBlock: (block) => void (rows += block.rows) },
    )
    await assert.rejects(call, ClickhouseError)
    assert.ok(rows <= 200_000)
  })

  test('says what the server wrote into it', async () => {
    const block = await answerOf('SELECT number FROM numbers(3)')
    for (const tail of [
      '\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 395. DB::Exception: too much\n35 abcdefghijklmnop\r\n__exception__\r\n',
      'Code: 395. DB::Exception: too much',
    ]) {
      for (const size of [1, 7, 1000]) {
        const chunks = hangingUp(cut(Buffer.concat([block, Buffer.from(tail)]), [size]))
        await assert.rejects(
          readNative(chunks, () => undefined),
          (error) => {
            assert.ok(error instanceof ClickhouseError)
            assert.equal(error.serverCode, 395)
            assert.match(error.message, /DB::Exception: too much$/)
            return true
          },
        )
      }
    }
  })

  test('by going on with other columns rejects', async () => {
    const answers = [await answerOf('SELECT 1 AS a'), await answerOf('SELECT 1 AS b')]
    const chunks = cut(Buffer.concat(answers), [5])
    await assert.rejects(
      readNative(chunks, () => undefined),
      /no block of this answer/,
    )
  })

  test('in its first statement is the error of that statement', async () => {
    await assert.rejects(blocksOf('SELEKT 1'), (error) => {
      assert.ok(error instanceof ClickhouseError)
      return error.kind === 'permanent' && error.serverCode === 62
    })
  })

  test('because the server hangs up in a block is a transient error', async () => {
    const block = await answerOf('SELECT number FROM numbers(3)')
    const server = createServer((_request, response) => {
      response.write(block.subarray(0, 30), () => (response.socket as Socket).destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const rude = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const call = rude.selectNative('SELECT 1', {}, { onBlock: () => assert.fail('no block') })
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof ClickhouseError)
      return error.kind === 'transient'
    })
    await rude.close()
    server.close()
  })

  test('because its reader throws rejects with that, and the next answer is whole', async () => {
    const mine = new Error('mine')
    const onBlock = () => {
      throw mine
    }
    const text = 'SELECT number AS n FROM numbers(1000000)'
    await assert.rejects(clickhouse.selectNative(text, {}, { onBlock }), (error) => error === mine)
    assert.equal((await blocksOf('SELECT toUInt8(1) AS a'))[0]?.u8('a')[0], 1)
  })

  test('because of a type without a reader, or a column of another type, is a bug of ours', async () => {
    await assert.rejects(blocksOf('SELECT [1] AS a'), /no reader for ClickHouse's type Array/)
    const [block] = await blocksOf('SELECT toUInt8(1) AS a')
    assert.throws(() => block?.u16('a'), /column a is u8, not u16/)
    assert.throws(() => block?.u8('b'), /no column b/)
  })

  test('because a number does not fit says so', async () => {
    const [block] = await blocksOf('SELECT toUInt64(9007199254740993) AS n, toInt64(-1) AS i')
    assert.throws(() => block?.u64AsNumbers('n'), RangeError)
    assert.equal(block?.i64AsNumbers('i')[0], -1)
  })
})

describe('a Native block refuses', () => {
  const block = new NativeBlock(2)
  const wrong: Record<string, () => unknown> = {
    'fewer values than rows': () => block.f64('x', new Float64Array(1)),
    'half a UInt64': () => block.u64FromNumbers('x', [0.5, 1]),
    'a negative UInt64': () => block.u64FromNumbers('x', [-1, 1]),
    'a UInt64 that is not safe': () => block.u64FromNumbers('x', [2 ** 53, 1]),
    'an Int64 that is not a number': () => block.i64FromNumbers('x', [Number.NaN, 1]),
    'an infinite time': () => block.dateTime64('x', [Infinity, 1]),
    'a time before 1970 in seconds': () => block.dateTime('x', [-1, 1]),
    'a time after 2106 in seconds': () => block.dateTime('x', [2 ** 32 * 1000, 1]),
    'an index without a key': () => block.lowCardinality('x', ['a'], Uint8Array.of(0, 1)),
    'entries of a map that go back': () =>
      block.mapI16U32('x', Uint32Array.of(2, 1), new Int16Array(2), new Uint32Array(2)),
    'fewer entries than a map has': () =>
      block.mapI16U32('x', Uint32Array.of(1, 3), new Int16Array(2), new Uint32Array(2)),
    'a negative number of rows': () => new NativeBlock(-1),
  }
  for (const [what, attempt] of Object.entries(wrong)) {
    test(what, () => assert.throws(attempt, RangeError))
  }

  test('blocks of one insert with different columns', async () => {
    const blocks = [new NativeBlock(1).u8('a', 1), new NativeBlock(1).u16('b', 1)]
    await assert.rejects(clickhouse.insertNative({ table, blocks }), TypeError)
  })
})

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, k = 0; at < bytes.length; k += 1) {
    const size = sizes[k % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

/** Ends as an answer of the server's ends behind an error. */
async function* hangingUp(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks
  throw new Error('aborted')
}
