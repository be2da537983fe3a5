import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { testStack } from '../../test/stack.ts'
import { ClickhouseError } from './clickhouse-error.ts'
import { Clickhouse, quoted } from './clickhouse.ts'
import { NativeBlock } from './native-writer.ts'

describe('Clickhouse', () => {
  let clickhouse: Clickhouse
  let table = ''
  before(async () => {
    const stack = await testStack()
    table = `${stack.namespace}table`
    clickhouse = connect(stack.clickhouse.url)
    await clickhouse.command(`CREATE TABLE ${table} (d Date, n UInt64) ENGINE = MergeTree
      PARTITION BY d ORDER BY n`)
  })
  after(async () => {
    await clickhouse.command(`DROP TABLE IF EXISTS ${table}`)
    await clickhouse.close()
  })

  test('parameters are values, never statement text', async () => {
    const evil = `x' OR 1=1 --\n\\`
    const rows = await clickhouse.select<{ text: string; big: string }>(
      'SELECT {text:String} AS text, {big:UInt64} AS big',
      { text: evil, big: '18446744073709551615' },
    )
    assert.deepEqual(rows, [{ text: evil, big: '18446744073709551615' }])
  })

  test('one insert may touch more days than the server allows by default', async () => {
    const days = Array.from({ length: 150 }, (_, day) => day)
    const block = new NativeBlock(days.length)
      .u16('d', Uint16Array.from(days))
      .u64FromNumbers('n', days)
    await clickhouse.insertNative({ table, blocks: [block] })
    const [counted] = await clickhouse.select<{ rows: string }>(
      `SELECT count() AS rows FROM ${table}`,
    )
    assert.equal(counted?.rows, '150')
  })

  test('large results arrive in chunks', async () => {
    let rows = 0
    for await (const chunk of clickhouse.selectChunks('SELECT number FROM numbers(100000)')) {
      rows += chunk.length
    }
    assert.equal(rows, 100_000)
  })

  test('a statement that can never work is a permanent error', async () => {
    const error = await errorOf(clickhouse.select('SELEKT 1'))
    assert.equal(error.kind, 'permanent')
    assert.equal(error.serverCode, 62)
  })

  test('a column that the table does not have is a permanent error', async () => {
    const block = new NativeBlock(1).u8('no_such_column', 1)
    const error = await errorOf(clickhouse.insertNative({ table, blocks: [block] }))
    assert.equal(error.kind, 'permanent')
  })

  test('a value that the column cannot take is a permanent error', async () => {
    const block = new NativeBlock(1).u16('d', 1).string('n', ['many'])
    const error = await errorOf(clickhouse.insertNative({ table, blocks: [block] }))
    assert.equal(error.kind, 'permanent')
  })

  test('a table that does not exist yet is a transient error', async () => {
    const error = await errorOf(clickhouse.select(`SELECT 1 FROM ${table}_not_there`))
    assert.equal(error.kind, 'transient')
    assert.equal(error.serverCode, 60)
  })

  test('an error after the first rows is not taken for the end of the result', async () => {
    const error = await errorOf(
      clickhouse.select('SELECT throwIf(number = 200000) AS x FROM numbers(300000)'),
    )
    // The driver names the reason unless the answer was cut inside of it.
    assert.match(error.message, /throwIf|there was an error in the stream/)
  })

  test('a server that is not there is a transient error with code unavailable', async () => {
    const nowhere = connect(`http://127.0.0.1:${await closedPort()}`)
    const error = await errorOf(nowhere.ping())
    assert.equal(error.kind, 'transient')
    assert.equal(error.code, 'unavailable')
    await nowhere.close()
  })

  test('a server that hangs up is a transient error', async () => {
    const server = createServer((request) => request.socket.destroy())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const rude = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const insert = rude.insertNative({ table, blocks: [new NativeBlock(1).u8('n', 1)] })
    assert.equal((await errorOf(insert)).kind, 'transient')
    await rude.close()
    server.close()
  })

  test('quoted identifiers cannot be left', () => {
    assert.equal(quoted('a`b\\'), '`a\\`b\\\\`')
  })
})

const connect = (url: string): Clickhouse =>
  new Clickhouse({ url, database: 'default', user: 'default', password: '' })

async function errorOf(call: Promise<unknown>): Promise<ClickhouseError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ClickhouseError, String(error))
  return error
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
