import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { testStack } from '../../test/stack.ts'
import { systemClock } from '../clock.ts'
import { Failure } from '../failure.ts'
import { createLogger } from '../observe/json-logger.ts'
import { sqlStateOf } from './postgres-error.ts'
import { PostgresListener } from './postgres-listener.ts'
import { Postgres } from './postgres.ts'

const logger = createLogger({ level: 'error', format: 'json', clock: systemClock, write: () => {} })
let url = ''
let schema = ''
let postgres: Postgres

before(async () => {
  const stack = await testStack()
  url = stack.postgres.url
  schema = `${stack.namespace}pg`
  postgres = new Postgres({ url, applicationName: schema, logger, statementTimeoutMs: 500 })
  await postgres.start()
  await postgres.query(`CREATE SCHEMA ${schema}`)
  await postgres.query(`CREATE TABLE ${schema}.parent (id bigint PRIMARY KEY)`)
  await postgres.query(
    `CREATE TABLE ${schema}.child (parent bigint REFERENCES ${schema}.parent (id))`,
  )
})
after(async () => {
  await postgres.query(`DROP SCHEMA ${schema} CASCADE`)
  await postgres.drain(1000)
})

describe('Postgres', () => {
  test('bigints come as numbers', async () => {
    assert.deepEqual(await postgres.query('SELECT $1::bigint AS n, count(*) AS c', [2 ** 40]), [
      { n: 2 ** 40, c: 1 },
    ])
  })

  test('a transaction that rejects leaves nothing behind', async () => {
    const attempt = postgres.transaction(async (queries) => {
      await queries.query(`INSERT INTO ${schema}.parent VALUES (1)`)
      throw new Error('changed my mind')
    })
    await assert.rejects(attempt, /changed my mind/)
    assert.deepEqual(await postgres.query(`SELECT * FROM ${schema}.parent`), [])
  })

  test('a transaction that resolves is committed and gives its result', async () => {
    const rows = await postgres.transaction((queries) =>
      queries.query(`INSERT INTO ${schema}.parent VALUES (2) RETURNING id`),
    )
    assert.deepEqual(rows, [{ id: 2 }])
    assert.deepEqual(await postgres.query(`SELECT * FROM ${schema}.parent`), [{ id: 2 }])
  })

  test('a violated constraint is told by its SQLSTATE', async () => {
    const twice = `INSERT INTO ${schema}.parent VALUES (3), (3)`
    assert.equal(sqlStateOf(await errorOf(postgres.query(twice))), '23505')
    const orphan = `INSERT INTO ${schema}.child VALUES (999)`
    assert.equal(sqlStateOf(await errorOf(postgres.query(orphan))), '23503')
  })

  test('a statement that runs too long is cancelled', async () => {
    const error = await errorOf(postgres.query('SELECT pg_sleep(30)'))
    assert.ok(error instanceof Failure)
    assert.equal(sqlStateOf(error.cause), '57014')
  })

  test('a connection that dies inside a transaction is unavailable, and the next one works', async () => {
    const attempt = postgres.transaction(async (queries) => {
      const [own] = await queries.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      await postgres.query('SELECT pg_terminate_backend($1)', [own?.pid])
      await queries.query('SELECT 1')
    })
    assert.equal(codeOf(await errorOf(attempt)), 'unavailable')
    assert.deepEqual(await postgres.query('SELECT 1 AS one'), [{ one: 1 }])
  })

  test('a server that is not there is unavailable', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    const nowhere = new Postgres({
      url: `postgres://weir:x@127.0.0.1:${port}/postgres`,
      applicationName: 'test',
      logger,
    })
    assert.equal(codeOf(await errorOf(nowhere.start())), 'unavailable')
    await nowhere.drain(1000)
  })
})

describe('PostgresListener', () => {
  test('hears notifications, and tells its owner after each loss that it may have missed some', async () => {
    const relay = await startRelay(url)
    const heard = new Queue<string>()
    const listener = new PostgresListener({
      url: relay.url,
      applicationName: 'test',
      channels: [schema],
      onNotification: (_channel, payload) => heard.push(payload),
      onListening: () => heard.push('listening'),
      logger,
      clock: systemClock,
    })
    await listener.start()
    assert.equal(await heard.next(), 'listening')
    assert.equal(listener.notReady(), undefined)
    await postgres.query('SELECT pg_notify($1, $2)', [schema, 'one'])
    assert.equal(await heard.next(), 'one')

    relay.cut()
    assert.equal(await heard.next(), 'listening')
    await postgres.query('SELECT pg_notify($1, $2)', [schema, 'two'])
    assert.equal(await heard.next(), 'two')

    await listener.drain()
    relay.close()
  })

  test('starts without Postgres, says so, and listens once it is there', async () => {
    const relay = await startRelay(url)
    relay.refuse(true)
    const heard = new Queue<string>()
    const listener = new PostgresListener({
      url: relay.url,
      applicationName: 'test',
      channels: [schema],
      onNotification: () => {},
      onListening: () => heard.push('listening'),
      logger,
      clock: systemClock,
    })
    await listener.start()
    assert.match(listener.notReady() ?? '', /not listening to Postgres/)
    relay.refuse(false)
    assert.equal(await heard.next(), 'listening')
    await listener.drain()
    relay.close()
  })
})

/** A relay in front of Postgres whose connections can be cut as a network cuts them. */
async function startRelay(target: string) {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let refusing = false
  const server = createServer((near) => {
    if (refusing) {
      near.destroy()
      return
    }
    const far = connect(Number(port), hostname)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    near.pipe(far).pipe(near)
  })
  const own = new URL(target)
  own.port = String(await listen(server))
  return {
    url: own.toString(),
    refuse: (yes: boolean) => (refusing = yes),
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close: () => {
      sockets.forEach((socket) => socket.destroy())
      server.close()
    },
  }
}

/** Things in the order they happened, awaited one by one. */
class Queue<T> {
  readonly #items: T[] = []
  #wake: () => void = () => {}

  push(item: T): void {
    this.#items.push(item)
    this.#wake()
  }

  async next(): Promise<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) return item
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  )
}

const errorOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (reason: unknown) => reason,
  )

const codeOf = (error: unknown): string => (error instanceof Failure ? error.code : String(error))
