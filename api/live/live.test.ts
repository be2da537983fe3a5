/** The live feed over a real server and real Kafka, with an ordinary WebSocket client. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../platform/clock.ts'
import { ROLLUPS, TELEMETRY } from '../../schemas/topics.ts'
import { testStack } from '../../test/stack.ts'
import type { ReadingItem, RollupItem, LiveItem } from '../contract/live.ts'
import { LIMITS } from '../limits.ts'
import { type ApiDatabases, clientOf, jsonBody, openDatabases } from '../testing/api-fixture.ts'
import { LiveClient } from '../testing/live-client.ts'
import { type LiveApi, openLive } from '../testing/live-fixture.ts'
import { insertSamples, insertSeries } from '../testing/telemetry-rows.ts'

let databases: ApiDatabases
let live: LiveApi
before(async () => {
  const stack = await testStack()
  databases = await openDatabases(stack)
  live = await openLive(stack, databases)
})
after(async () => {
  await live.close()
  await databases.close()
})

const open = (): Promise<LiveClient> => LiveClient.open(live.server.port, databases.keys.acme)
const reading = (item: LiveItem): ReadingItem => item as ReadingItem
const rollup = (item: LiveItem): RollupItem => item as RollupItem
const isValue = (value: unknown) => (item: LiveItem) => 'value' in item && item.value === value

describe('hello', () => {
  it('is refused with a wrong key, and the socket closes', async () => {
    const client = await LiveClient.connect(live.server.port)
    client.send({ type: 'hello', key: 'wrong' })
    assert.equal((await client.next('error')).code, 'unauthenticated')
    assert.deepEqual(await client.closed, [1008, 'unauthenticated'])
  })

  it('must come first', async () => {
    const client = await LiveClient.connect(live.server.port)
    client.subscribe('a', 'readings')
    assert.equal((await client.next('error')).code, 'unauthenticated')
    assert.equal((await client.closed)[0], 1008)
  })

  const bad: readonly (readonly [string, string | Buffer])[] = [
    ['no JSON', 'hello'],
    ['an array', '[]'],
    ['a key that is no text', '{"type":"hello","key":7}'],
    ['a field twice', '{"type":"hello","key":"a","key":"b"}'],
    ['an unknown field', '{"type":"hello","key":"a","admin":true}'],
    ['a binary message', Buffer.from('{"type":"hello","key":"a"}')],
    ['deep nesting', '['.repeat(40)],
  ]
  for (const [what, message] of bad) {
    it(`is refused with ${what}`, async () => {
      const client = await LiveClient.connect(live.server.port)
      client.socket.send(message)
      assert.equal((await client.next('error')).code, 'request_invalid')
      assert.equal((await client.closed)[0], 1008)
    })
  }

  it('is refused to a page of another origin, and taken from our own and from friends', async () => {
    const { port } = live.server
    await assert.rejects(LiveClient.connect(port, { origin: 'https://evil.example' }), /403/)
    await assert.rejects(LiveClient.connect(port, { origin: 'null' }), /403/)
    for (const origin of [`http://127.0.0.1:${port}`, 'https://friend.example']) {
      await (await LiveClient.connect(port, { origin })).close()
    }
  })
})

describe('subscribing', () => {
  const bad: readonly (readonly [string, object])[] = [
    ['an empty id', { id: '' }],
    ['a long id', { id: 'x'.repeat(65) }],
    ['an unknown stream', { stream: 'everything' }],
    ['alerts, which do not exist yet', { stream: 'alerts' }],
    ['devices that are no list', { devices: '*' }],
    ['a device that cannot be', { devices: ['a/b'] }],
    ['a star among others', { devices: ['a', '*'] }],
    ['an empty metric', { metrics: [''] }],
    ['a resolution of readings', { resolution: '10s' }],
    ['an unknown resolution', { stream: 'rollups', resolution: '1h' }],
    ['an unknown field', { since: 1 }],
  ]
  for (const [what, more] of bad) {
    it(`is refused with ${what}, and the socket stays`, async () => {
      const client = await open()
      client.subscribe('a', 'readings', more)
      assert.equal((await client.next('error')).code, 'request_invalid')
      client.subscribe('good', 'readings', { devices: ['nobody'] })
      assert.deepEqual((await client.next('snapshot')).items, [])
      await client.close()
    })
  }

  for (const names of [[], ['*'], undefined]) {
    it(`means everything with ${JSON.stringify(names)} for names`, async () => {
      const client = await open()
      client.subscribe('a', 'readings', { devices: names, metrics: names })
      await client.next('snapshot')
      const value = systemClock.nowMs()
      await live.say({ device: 'anybody', at: value, value })
      assert.equal((await client.updatesUntil(isValue(value))).length > 0, true)
      await client.close()
    })
  }

  it('is bounded in names, subscriptions and message size', async () => {
    const client = await open()
    const names = Array.from({ length: LIMITS.liveNamesPerSubscriptionMax + 1 }, (_, i) => `d${i}`)
    client.subscribe('many', 'readings', { devices: names })
    assert.deepEqual((await client.next('error')).id, 'many')
    for (let i = 0; i <= LIMITS.liveSubscriptionsMax; i++) client.subscribe(`s${i}`, 'rollups')
    const refused = await client.next('error')
    assert.deepEqual(
      [refused.code, refused.id],
      ['limit_exceeded', `s${LIMITS.liveSubscriptionsMax}`],
    )
    client.subscribe('s0', 'rollups')
    assert.equal((await client.next('error')).code, 'request_invalid')
    client.send(' '.repeat(LIMITS.liveMessageBytesMax + 1))
    assert.equal((await client.next('error')).code, 'limit_exceeded')
    assert.equal((await client.closed)[0], 1009)
  })

  it('ends with unsubscribe', async () => {
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['left'] })
    await client.next('snapshot')
    client.send({ type: 'unsubscribe', id: 'a' })
    client.send({ type: 'unsubscribe', id: 'a' })
    assert.deepEqual((await client.next('error')).id, 'a')
    await live.say({ device: 'left', at: systemClock.nowMs(), value: 1 })
    client.subscribe('b', 'readings', { devices: ['left'] })
    await client.next('snapshot')
    await live.say({ device: 'left', at: systemClock.nowMs() + 1, value: 2 })
    assert.equal((await client.next('update')).id, 'b')
    await client.close()
  })
})

describe('readings', () => {
  it('come as a snapshot of what is true, then every step in order, and reach latest', async () => {
    const now = systemClock.nowMs()
    await live.say({ device: 'steps', at: now, value: 0 })
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['steps'] })
    const snapshot = await client.next('snapshot')
    const steps = Array.from({ length: 50 }, (_, index) => index + 1)
    for (const step of steps) await live.say({ device: 'steps', at: now + step, value: step })
    const items = [...snapshot.items, ...(await client.updatesUntil(isValue(50)))].map(reading)
    const values = items.map((item) => item.value)
    // The first may be in the snapshot or follow it, depending on when the feed read it.
    assert.deepEqual(values, values[0] === 0 ? [0, ...steps] : steps)
    const ask = clientOf(live.server.port, databases.keys.acme)
    await ask('/v1/devices', jsonBody({ id: 'steps' }))
    const latest = await ask('/v1/devices/steps/latest')
    assert.deepEqual(latest.body, { device: 'steps', values: { m: { value: 50, at: now + 50 } } })
    await client.close()
  })

  it('keep their types, and only what was subscribed', async () => {
    const now = systemClock.nowMs()
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['typed'], metrics: ['n', 'b', 's'] })
    await client.next('snapshot')
    const series = <V>(metric: string, ...v: V[]) => ({
      metric,
      t0: now,
      dt: v.map((_, i) => i),
      v,
    })
    await live.say({ device: 'other', at: now, value: -1 })
    await live.record({
      tenant: 'acme',
      device: 'typed',
      recvTs: now,
      protocol: 'mqtt',
      stamped: true,
      numbers: [series('n', 1.5, 2.5), series('unwanted', 3)],
      booleans: [series('b', true, false)],
      strings: [series('s', 'α', '"quoted"')],
    })
    const items = await client.updatesUntil(isValue('"quoted"'))
    assert.deepEqual(
      items.map(reading).map(({ metric, value, at }) => [metric, value, at - now]),
      [
        ['n', 1.5, 0],
        ['n', 2.5, 1],
        ['b', true, 0],
        ['b', false, 1],
        ['s', 'α', 0],
        ['s', '"quoted"', 1],
      ],
    )
    await client.close()
  })

  it('of a restamped message say what time the device claimed, live and in latest', async () => {
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['restamped'] })
    await client.next('snapshot')
    const at = systemClock.nowMs()
    await live.say({ device: 'restamped', at, value: 4 }, { shiftMs: -3_600_000 })
    const items = await client.updatesUntil(isValue(4))
    const value = { value: 4, at, deviceAt: at - 3_600_000 }
    assert.deepEqual(items, [{ device: 'restamped', metric: 'm', ...value }])
    const ask = clientOf(live.server.port, databases.keys.acme)
    await ask('/v1/devices', jsonBody({ id: 'restamped' }))
    const latest = await ask('/v1/devices/restamped/latest')
    assert.deepEqual(latest.body, { device: 'restamped', values: { m: value } })
    await client.close()
  })

  it('go by event time: late and future samples are no news', async () => {
    const now = systemClock.nowMs()
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['clock'] })
    await client.next('snapshot')
    await live.say({ device: 'clock', at: now, value: 1 })
    await live.say({ device: 'clock', at: now - 1_000, value: 2 })
    await live.say({ device: 'clock', at: now, value: 3 })
    await live.say({ device: 'clock', at: now + 120_000, value: 4 })
    // A connector whose clock is ahead is no excuse: the broker's clock counts too.
    await live.say({ device: 'clock', at: now + 120_000, value: 5 }, { recvTs: now + 120_000 })
    await live.say({ device: 'clock', at: now + 1, value: 6 })
    const items = await client.updatesUntil(isValue(6))
    assert.deepEqual(
      items.map((item) => reading(item).value),
      [1, 6],
    )
    await client.close()
  })

  it('from before what is kept are not shown: the pipeline refused them as too late', async () => {
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['unset-clock'] })
    await client.next('snapshot')
    await live.say({ device: 'unset-clock', at: 0, value: 1 })
    await live.say({ device: 'unset-clock', at: systemClock.nowMs(), value: 2 })
    const items = await client.updatesUntil(isValue(2))
    assert.deepEqual(
      items.map((item) => reading(item).value),
      [2],
    )
    await client.close()
  })

  it('of another tenant are never seen', async () => {
    const foreign = await LiveClient.open(live.server.port, databases.keys.other)
    foreign.subscribe('a', 'readings')
    foreign.subscribe('b', 'rollups')
    foreign.subscribe('c', 'readings', { devices: ['secret'] })
    for (let i = 0; i < 3; i++) assert.deepEqual((await foreign.next('snapshot')).items, [])
    const now = systemClock.nowMs()
    await live.say({ device: 'secret', at: now, value: 1 })
    await live.window('acme', 'secret', { start: now - (now % 10_000) })
    await live.say({ device: 'secret', at: now, value: 2 }, { tenant: 'other' })
    const items = await foreign.updatesUntil(() => true)
    assert.deepEqual(
      items.map((item) => reading(item).value),
      [2],
    )
    await foreign.close()
  })

  it('survive records that cannot be read', async () => {
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['after-bad'] })
    await client.next('snapshot')
    for (const topic of [TELEMETRY.name, ROLLUPS.name]) {
      await live.bytes(topic, Buffer.from('not a frame'))
      await live.bytes(topic, Buffer.from([0, 0, 0, 255, 255, 1, 2, 3]))
      await live.bytes(topic, Buffer.alloc(0))
    }
    await live.say({ device: 'after-bad', at: systemClock.nowMs(), value: 1 })
    await client.updatesUntil(isValue(1))
    await client.close()
  })

  it('of a quiet device come from ClickHouse', async () => {
    const atMs = systemClock.nowMs() - 3 * 86_400_000
    const series = '77'
    const row = { tenant: 'acme', device: 'quiet', metric: 'm', kind: 'text', series } as const
    await insertSeries(databases.clickhouse, [row])
    await insertSamples(databases.clickhouse, [{ tenant: 'acme', series, atMs, text: 'long ago' }])
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['quiet'] })
    const expected = { device: 'quiet', metric: 'm', value: 'long ago', at: atMs }
    assert.deepEqual((await client.next('snapshot')).items, [expected])
    await client.close()
  })
})

describe('rollups', () => {
  const start = Math.floor(systemClock.nowMs() / 60_000) * 60_000

  it('come once per version, the highest winning, in the resolution asked for', async () => {
    const client = await open()
    client.subscribe('a', 'rollups', { devices: ['pump'], resolution: '10s' })
    await client.next('snapshot')
    const window = (version: number, more = {}) =>
      live.window('acme', 'pump', { start, version, sum: version, ...more })
    await window(5)
    await window(3)
    await window(5)
    await window(9, { resolutionMs: 60_000 })
    await window(8, { final: true })
    const items = await client.updatesUntil((item) => rollup(item).version === 8)
    assert.deepEqual(
      items
        .map(rollup)
        .map(({ version, resolution, mean, final }) => [version, resolution, mean, final]),
      [
        [5, '10s', 2.5, false],
        [8, '10s', 4, true],
      ],
    )
    const late = await open()
    late.subscribe('b', 'rollups', { devices: ['pump'] })
    const snapshot = await late.next('snapshot')
    assert.deepEqual(
      snapshot.items.map((item) => rollup(item).version),
      [8, 9],
    )
    await Promise.all([client.close(), late.close()])
  })

  it('tell a correction within a second of its record, with when it was made', async () => {
    const client = await open()
    client.subscribe('a', 'rollups', { devices: ['late'], resolution: '10s' })
    await client.next('snapshot')
    const past = { start: start - 3_600_000, count: 2, m2: 2, integral: 3_000, lastTs: 2_000 }
    await live.window('acme', 'late', { ...past, final: true, version: 256 })
    await client.updatesUntil((item) => rollup(item).version === 256)
    const correctedAt = systemClock.nowMs()
    await live.window('acme', 'late', { ...past, final: true, version: 512, correctedAt })
    const items = await client.updatesUntil((item) => rollup(item).version === 512)
    const tookMs = systemClock.nowMs() - correctedAt
    assert.ok(tookMs < 1_000, `after ${tookMs} ms`)
    const item = rollup(items.at(-1) ?? assert.fail())
    assert.deepEqual([item.final, item.correctedAt], [true, correctedAt])
    assert.deepEqual([item.stddev, item.timeWeightedMean], [1, 1.5])
    await client.close()
  })

  it('pass on corrections of windows long gone', async () => {
    const client = await open()
    client.subscribe('a', 'rollups', { devices: ['corrected'] })
    await client.next('snapshot')
    for (const ago of [0, 1, 2, 3, 40]) {
      await live.window('acme', 'corrected', { start: start - ago * 10_000, version: 100 - ago })
    }
    const items = await client.updatesUntil((item) => rollup(item).version === 60)
    assert.equal(items.length, 5)
    await client.close()
  })
})

describe('a client that does not read', () => {
  it('costs bounded memory, and ends with the newest state of every series', async () => {
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['flood'] })
    await client.next('snapshot')
    client.socket.pause()
    const now = systemClock.nowMs() - 40_000
    const filler = 'x'.repeat(500)
    const rounds = 60
    const perRound = 500
    for (let round = 0; round < rounds; round++) {
      const dt = Array.from({ length: perRound }, (_, index) => index)
      await live.record({
        tenant: 'acme',
        device: 'flood',
        recvTs: systemClock.nowMs(),
        protocol: 'mqtt',
        stamped: true,
        numbers: [],
        booleans: [],
        strings: ['p', 'q'].map((metric) => ({
          metric,
          t0: now + round * perRound,
          dt,
          v: dt.map((index) => `${round * perRound + index} ${filler}`),
        })),
      })
    }
    const last = rounds * perRound - 1
    // A second client, which reads, tells when the feed has seen everything.
    const witness = await open()
    witness.subscribe('w', 'readings', { devices: ['flood'] })
    const isLast = (item: LiveItem) => reading(item).at === now + last
    const first = await witness.next('snapshot')
    if (!first.items.some(isLast)) await witness.updatesUntil(isLast)
    await pause(100)
    client.socket.resume()
    const seen: ReadingItem[] = []
    const done = () =>
      ['p', 'q'].every((m) => seen.some((item) => item.metric === m && isLast(item)))
    while (!done()) seen.push(...(await client.next('update')).items.map(reading))
    assert.ok(
      seen.length < rounds * perRound,
      `${seen.length} of ${2 * rounds * perRound} steps came`,
    )
    for (const metric of ['p', 'q']) {
      const times = seen.filter((item) => item.metric === metric).map((item) => item.at)
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      )
    }
    const { body } = await live.metrics.expose()
    assert.match(body, /weir_live_conflations_total\{role="api"\} [1-9]/)
    await Promise.all([client.close(), witness.close()])
  })
})

describe('reconnecting', () => {
  it('brings a snapshot that holds what was missed', async () => {
    const now = systemClock.nowMs()
    const client = await open()
    client.subscribe('a', 'readings', { devices: ['again'] })
    await client.next('snapshot')
    await live.say({ device: 'again', at: now, value: 1 })
    const [first] = [await client.next('update')]
    client.socket.terminate()
    await client.closed
    const witness = await open()
    witness.subscribe('w', 'readings', { devices: ['again'] })
    await witness.next('snapshot')
    await live.say({ device: 'again', at: now + 1, value: 2 })
    await witness.updatesUntil(isValue(2))
    const back = await open()
    back.subscribe('a', 'readings', { devices: ['again'] })
    const snapshot = await back.next('snapshot')
    assert.deepEqual(
      snapshot.items.map((item) => reading(item).value),
      [2],
    )
    assert.notEqual(snapshot.cursor, '')
    assert.notEqual(snapshot.cursor, first.cursor)
    await Promise.all([witness.close(), back.close()])
  })
})

describe('a log that falls silent', () => {
  it('is told to every open socket and to who comes meanwhile, and so is its end', async () => {
    const [first, second] = [await open(), await open()]
    // The silence is played: checks as if time passed, and nothing can come between them.
    for (let ms = 0; live.flow.status.flowing; ms += 1_000) {
      live.flow.check({ monotonicMs: 1e9 + ms, nowMs: systemClock.nowMs() })
    }
    const told = await second.next('status')
    assert.ok(!told.flowing && told.sinceMs <= systemClock.nowMs() && told.detail !== '')
    assert.deepEqual(await first.next('status'), told)
    const late = await open()
    assert.deepEqual(await late.next('status'), told)
    await live.say({ device: 'ends-silence', at: systemClock.nowMs(), value: 1 })
    for (const each of [first, second, late]) {
      assert.deepEqual(await each.next('status'), { type: 'status', flowing: true })
      await each.close()
    }
  })
})
