/** Databases that go away and come back: the api says so, the live feed goes on. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../platform/clock.ts'
import { testStack } from '../test/stack.ts'
import type { Problem } from './contract/resources.ts'
import {
  type Answered,
  type ApiDatabases,
  clientOf,
  jsonBody,
  openDatabases,
} from './testing/api-fixture.ts'
import { CuttableProxy } from './testing/cuttable-proxy.ts'
import { LiveClient } from './testing/live-client.ts'
import { type LiveApi, openLive } from './testing/live-fixture.ts'
import { insertSamples, insertSeries } from './testing/telemetry-rows.ts'

let clickhouse: CuttableProxy
let postgres: CuttableProxy
let databases: ApiDatabases
let live: LiveApi
let ask: ReturnType<typeof clientOf>

before(async () => {
  const stack = await testStack()
  const targets = {
    clickhouse: new URL(stack.clickhouse.url),
    postgres: new URL(stack.postgres.url),
  }
  clickhouse = await CuttableProxy.open(targets.clickhouse)
  postgres = await CuttableProxy.open(targets.postgres)
  databases = await openDatabases({
    namespace: stack.namespace,
    clickhouse: { url: clickhouse.addressOf(targets.clickhouse) },
    postgres: { url: postgres.addressOf(targets.postgres) },
  })
  live = await openLive(stack, databases)
  ask = clientOf(live.server.port, databases.keys.acme)
  await ask('/v1/devices', jsonBody({ id: 'pump' }))
})
after(async () => {
  clickhouse.mend()
  postgres.mend()
  await live.close()
  await databases.close()
  await Promise.all([clickhouse.close(), postgres.close()])
})

function assertUnavailable(answered: Answered): void {
  const problem = answered.body as Problem
  assert.deepEqual([answered.status, problem.code], [503, 'unavailable'])
  assert.equal(answered.headers.get('retry-after'), '1')
  assert.equal(problem.retryAfterMs, 1_000)
  assert.ok(!JSON.stringify(problem).includes('127.0.0.1'), 'our addresses are nobody’s business')
}

async function untilAnswered(path: string): Promise<Answered> {
  for (;;) {
    const answered = await ask(path)
    if (answered.status !== 503) return answered
    await pause(50)
  }
}

const READINGS = '/v1/devices/pump/readings?metric=m'

describe('while ClickHouse is down', () => {
  it('questions about history are answered 503, devices go on, and all is well afterwards', async () => {
    assert.equal((await ask(READINGS)).status, 200)
    clickhouse.cut()
    assertUnavailable(await ask(READINGS))
    assertUnavailable(await ask('/v1/devices/pump/rollups?metric=m'))
    assertUnavailable(await ask('/v1/devices/pump/explain?metric=m&start=1&resolution=1m'))
    assert.equal((await ask('/v1/devices/pump')).status, 200)
    clickhouse.mend()
    assert.equal((await untilAnswered(READINGS)).status, 200)
  })

  it('the live feed goes on, and a new snapshot follows when history is back', async () => {
    const atMs = systemClock.nowMs() - 3_600_000 * 5
    const row = { tenant: 'acme', device: 'old', metric: 'm', kind: 'number', series: '5' } as const
    await insertSeries(databases.clickhouse, [row])
    await insertSamples(databases.clickhouse, [{ tenant: 'acme', series: '5', atMs, value: 42 }])
    const client = await LiveClient.open(live.server.port, databases.keys.acme)
    client.subscribe('before', 'readings', { devices: ['pump'] })
    await client.next('snapshot')

    clickhouse.cut()
    client.subscribe('during', 'readings', { devices: ['old'] })
    const now = systemClock.nowMs()
    await live.say({ device: 'pump', at: now, value: 1 })
    const update = await client.next('update')
    assert.deepEqual(
      [update.id, update.items],
      ['before', [{ device: 'pump', metric: 'm', at: now, value: 1 }]],
    )
    const first = await client.next('snapshot')
    assert.deepEqual([first.id, first.items], ['during', []])

    clickhouse.mend()
    const second = await client.next('snapshot')
    assert.deepEqual(
      [second.id, second.items],
      ['during', [{ device: 'old', metric: 'm', at: atMs, value: 42 }]],
    )
    await live.say({ device: 'old', at: now, value: 2 })
    assert.equal((await client.next('update')).id, 'during')
    await client.close()
  })
})

describe('while Postgres is down', () => {
  it('devices are answered 503, a hello is sent to try again, and all is well afterwards', async () => {
    assert.equal((await ask('/v1/devices/pump')).status, 200)
    postgres.cut()
    assertUnavailable(await ask('/v1/devices/pump'))
    assertUnavailable(await ask('/v1/devices', jsonBody({ id: 'other' })))
    const stranger = clientOf(live.server.port, 'a-key-that-nobody-asked-about')
    assertUnavailable(await stranger('/v1/devices'))
    const client = await LiveClient.connect(live.server.port)
    client.send({ type: 'hello', key: databases.keys.other })
    assert.equal((await client.closed)[0], 1013)
    postgres.mend()
    assert.equal((await untilAnswered('/v1/devices/pump')).status, 200)
    assert.equal((await ask('/v1/devices', jsonBody({ id: 'other' }))).status, 201)
  })
})

describe('when the api ends', () => {
  it('open sockets are told to go elsewhere', async () => {
    const client = await LiveClient.open(live.server.port, databases.keys.acme)
    await live.server.drain(1_000)
    assert.deepEqual(await client.closed, [1001, 'shutting down'])
    await assert.rejects(LiveClient.connect(live.server.port))
  })
})
