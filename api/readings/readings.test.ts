/** Measurements over HTTP, from a real ClickHouse: types, spans, pages, tenants, bad input. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { testStack } from '../../test/stack.ts'
import { systemClock } from '../../platform/clock.ts'
import type { Latest, Problem, Readings, Rollups, Value } from '../contract/resources.ts'
import {
  type Answered,
  type Ask,
  jsonBody,
  serveApi,
  type ServedApi,
} from '../testing/api-fixture.ts'
import { assertFits } from '../testing/answer-schema.ts'
import { insertRollups, insertSamples, insertSeries } from '../testing/telemetry-rows.ts'

/** A midnight that no table's TTL has reached. */
const START_MS = (Math.floor(systemClock.nowMs() / 86_400_000) - 10) * 86_400_000
/** Too large for a JavaScript number, as real series ids are. */
const TEMPERATURE = '18446744073709551615'
const DOOR = '18446744073709551614'
const MODE = '18446744073709551613'
const FOREIGN = '18446744073709551612'

let api: ServedApi
let ask: Ask
let askOther: Ask

before(async () => {
  api = await serveApi(await testStack())
  ;({ ask, askOther } = api)
  await ask('/v1/devices', jsonBody({ id: 'pump' }))
  await askOther('/v1/devices', jsonBody({ id: 'pump' }))
  await fill()
})
after(() => api.close())

async function fill(): Promise<void> {
  const { clickhouse } = api
  const series = { tenant: 'acme', device: 'pump' }
  await insertSeries(clickhouse, [
    { ...series, metric: 'temperature', kind: 'number', series: TEMPERATURE },
    { ...series, metric: 'door', kind: 'boolean', series: DOOR },
    { ...series, metric: 'mode', kind: 'text', series: MODE },
    // A metric that changed its type.
    { ...series, metric: 'mixed', kind: 'number', series: TEMPERATURE },
    { ...series, metric: 'mixed', kind: 'text', series: MODE },
    // Another tenant's device of the same name, whose series is ours by a colliding id.
    { ...series, tenant: 'other', metric: 'temperature', kind: 'number', series: FOREIGN },
  ])
  const tenant = 'acme'
  const numbers = Array.from({ length: 25 }, (_, index) => ({
    tenant,
    series: TEMPERATURE,
    atMs: START_MS + index * 1_000,
    value: index / 4,
  }))
  await insertSamples(clickhouse, numbers)
  await insertSamples(clickhouse, [
    // A second delivery of the first sample: the earlier one, with the larger inv, stands.
    { tenant, series: TEMPERATURE, atMs: START_MS, value: 99, inv: 0 },
    { tenant, series: DOOR, atMs: START_MS, value: 1 },
    { tenant, series: DOOR, atMs: START_MS + 1_000, value: 0 },
    { tenant, series: MODE, atMs: START_MS, text: 'éco' },
    { tenant, series: MODE, atMs: START_MS + 500, text: '' },
    { tenant: 'other', series: FOREIGN, atMs: START_MS, value: -1 },
    { tenant: 'other', series: TEMPERATURE, atMs: START_MS + 1, value: -2 },
  ])
}

const span = `from=${START_MS}&to=${START_MS + 60_000}`
const readings = async (query: string): Promise<Readings> => {
  const answered = await ask(`/v1/devices/pump/readings?${query}`)
  assert.equal(answered.status, 200, JSON.stringify(answered.body))
  assertFits('Readings', answered.body)
  return answered.body as Readings
}

function assertRefused(answered: Answered, code: string, field: string | undefined): void {
  const { status, body } = answered
  const problem = body as Problem
  assert.deepEqual([status, problem.code, problem.field], [400, code, field])
}

describe('readings', () => {
  it('come oldest first, one per time, in [from, to)', async () => {
    const all = await readings(`metric=temperature&${span}`)
    assert.equal(all.next, null)
    assert.deepEqual(
      all.items,
      Array.from({ length: 25 }, (_, index) => ({
        at: START_MS + index * 1_000,
        value: index / 4,
      })),
    )
    const some = await readings(`metric=temperature&from=${START_MS + 1}&to=${START_MS + 2_000}`)
    assert.deepEqual(some.items, [{ at: START_MS + 1_000, value: 0.25 }])
  })

  it('come in the type that the device sent', async () => {
    const values = async (metric: string): Promise<Value[]> =>
      (await readings(`metric=${metric}&${span}`)).items.map((item) => item.value)
    assert.deepEqual(await values('door'), [true, false])
    assert.deepEqual(await values('mode'), ['éco', ''])
    assert.deepEqual((await values('mixed')).slice(0, 3), ['éco', 0, ''])
  })

  it('come exactly once over the pages, whatever their size', async () => {
    for (const metric of ['temperature', 'mixed']) {
      const whole = (await readings(`metric=${metric}&${span}`)).items
      for (const limit of [1, 4, whole.length]) {
        const query = `metric=${metric}&${span}&limit=${limit}`
        let page = await readings(query)
        const seen = [...page.items]
        while (page.next !== null) {
          page = await readings(`${query}&cursor=${page.next}`)
          seen.push(...page.items)
        }
        assert.deepEqual(seen, whole)
      }
    }
  })

  it('take RFC 3339 times', async () => {
    const day = new Date(START_MS).toISOString().slice(0, 10)
    const query = `metric=temperature&from=${day}T01:00:01%2B01:00&to=${day}T00:00:02.5Z`
    assert.deepEqual(
      (await readings(query)).items.map((item) => item.at - START_MS),
      [1_000, 2_000],
    )
  })

  it('are empty for a metric nobody sent, and never another tenant’s', async () => {
    assert.deepEqual(await readings(`metric=nothing&${span}`), { items: [], next: null })
    const foreign = await askOther(`/v1/devices/pump/readings?metric=temperature&${span}`)
    assert.deepEqual((foreign.body as Readings).items, [{ at: START_MS, value: -1 }])
    const door = await askOther(`/v1/devices/pump/readings?metric=door&${span}`)
    assert.deepEqual((door.body as Readings).items, [])
  })

  const bad: readonly (readonly [string, string])[] = [
    ['from=1&to=2', 'metric'],
    ['metric=&from=1&to=2', 'metric'],
    [`metric=${'m'.repeat(129)}`, 'metric'],
    ['metric=t&from=yesterday', 'from'],
    ['metric=t&from=-1', 'from'],
    ['metric=t&from=1.5', 'from'],
    ['metric=t&from=1e3', 'from'],
    ['metric=t&to=4294967295001', 'to'],
    ['metric=t&to=2026-02-30T00:00:00Z', 'to'],
    ['metric=t&to=2026-01-01T24:00:00Z', 'to'],
    ['metric=t&to=2026-01-01', 'to'],
    ['metric=t&from=2&to=1', 'from'],
    ['metric=t&limit=10001', 'limit'],
    ['metric=t&order=desc', 'order'],
  ]
  for (const [query, field] of bad) {
    it(`refuse ${query.slice(0, 40)}`, async () => {
      assertRefused(await ask(`/v1/devices/pump/readings?${query}`), 'request_invalid', field)
    })
  }

  it('refuse a cursor of another metric, and forged ones', async () => {
    const { next } = await readings(`metric=temperature&${span}&limit=2`)
    const path = '/v1/devices/pump/readings'
    const elsewhere = await ask(`${path}?metric=door&${span}&cursor=${next ?? ''}`)
    assertRefused(elsewhere, 'cursor_invalid', 'cursor')
    const parts = JSON.parse(Buffer.from(next ?? '', 'base64url').toString()) as unknown[]
    for (const forged of [
      [...parts.slice(0, 5), '1) OR (1=1'],
      [...parts.slice(0, 5), '9'.repeat(20)],
      parts.slice(0, 5),
    ]) {
      const cursor = Buffer.from(JSON.stringify(forged)).toString('base64url')
      assertRefused(
        await ask(`${path}?metric=temperature&${span}&cursor=${cursor}`),
        'cursor_invalid',
        'cursor',
      )
    }
  })

  it('treat SQL in a metric as a name', async () => {
    for (const metric of [
      "' OR 1=1 --",
      '{tenant:String}',
      '\\',
      '"; DROP TABLE samples',
      '\t\n',
      '%s',
    ]) {
      const query = `metric=${encodeURIComponent(metric)}&${span}`
      assert.deepEqual(await readings(query), { items: [], next: null })
    }
  })
})

describe('latest', () => {
  it('is the newest value of each metric, typed, of this tenant only', async () => {
    const { body } = await ask('/v1/devices/pump/latest')
    const { values } = body as Latest
    assert.deepEqual(values['temperature'], { value: 6, at: START_MS + 24_000 })
    assert.deepEqual(values['door'], { value: false, at: START_MS + 1_000 })
    assert.deepEqual(values['mode'], { value: '', at: START_MS + 500 })
    const foreign = (await askOther('/v1/devices/pump/latest')).body as Latest
    assert.deepEqual(foreign.values, { temperature: { value: -1, at: START_MS } })
  })

  it('is found however long the device has been silent', async () => {
    const atMs = START_MS - 200 * 86_400_000
    const row = { tenant: 'acme', device: 'pump', metric: 'ancient', kind: 'number' } as const
    await insertSeries(api.clickhouse, [{ ...row, series: '9' }])
    const window = { tenant: 'acme', series: '9', startMs: atMs, count: 1, sum: 7, min: 7, max: 7 }
    const ends = { first: 7, last: 7, firstTs: atMs + 5, lastTs: atMs + 5, version: 1 }
    await insertRollups(api.clickhouse, 'rollup_1m', [{ ...window, ...ends }])
    const series = await api.parts.telemetry.series('acme', ['pump'], 'ancient')
    const newest = await api.parts.telemetry.newest('acme', series, systemClock.nowMs())
    const expected = { device: 'pump', metric: 'ancient', value: 7, at: atMs + 5 }
    assert.deepEqual(newest, [expected])
    const fleet = await api.parts.telemetry.newestOfFleet('acme', atMs + 60_000)
    assert.deepEqual(fleet, [expected])
    assert.deepEqual(await api.parts.telemetry.newestOfFleet('other', atMs + 60_000), [])
  })

  it('prefers what the live stream saw, by event time and not by arrival', async () => {
    const offer = (at: number, value: number) =>
      api.parts.latest.offer('acme', { device: 'pump', metric: 'temperature', value, at })
    assert.equal(offer(START_MS + 30_000, 70), true)
    assert.equal(offer(START_MS + 29_000, 69), false)
    const { values } = (await ask('/v1/devices/pump/latest')).body as Latest
    assert.deepEqual(values['temperature'], { value: 70, at: START_MS + 30_000 })
  })

  it('comes with the list of devices where it is asked for', async () => {
    const { body } = await askOther('/v1/devices?include=latest')
    const items = (body as { items: { id: string; latest: unknown }[] }).items
    assert.deepEqual(
      items.map((item) => [item.id, item.latest]),
      [['pump', { temperature: { value: -1, at: START_MS } }]],
    )
  })

  it('is 404 for a device that does not exist', async () => {
    for (const path of ['latest', `readings?metric=t`, `rollups?metric=t`]) {
      assert.equal((await ask(`/v1/devices/nobody/${path}`)).status, 404)
    }
  })
})

describe('rollups', () => {
  const tenant = 'acme'
  const window = (startMs: number, version: number, final: boolean, value: number) => ({
    tenant,
    series: TEMPERATURE,
    startMs,
    count: 2,
    sum: value * 2,
    min: value - 1,
    max: value + 1,
    first: value - 1,
    last: value + 1,
    firstTs: startMs,
    lastTs: startMs + 5_000,
    m2: 2,
    integral: value * 5_000,
    final,
    version,
  })
  before(async () => {
    const { clickhouse } = api
    await insertRollups(clickhouse, 'rollup_10s', [
      window(START_MS, 512, false, 3),
      { ...window(START_MS, 768, true, 4), correctedAt: START_MS + 90_000 },
      window(START_MS + 10_000, 900, false, 5),
    ])
    await insertRollups(clickhouse, 'rollup_10s', [window(START_MS, 511, true, 1)])
    const text = { ...window(START_MS, 7, true, 0), series: MODE, firstText: 'a', lastText: 'b' }
    const door = { ...window(START_MS, 7, true, 1), series: DOOR, first: 0, last: 1 }
    await insertRollups(clickhouse, 'rollup_10s', [text, door])
  })

  it('give the row with the highest version, and what it holds', async () => {
    const { body } = await ask(`/v1/devices/pump/rollups?metric=temperature&${span}&resolution=10s`)
    assert.deepEqual(body, {
      resolution: '10s',
      kind: 'number',
      items: [
        {
          start: START_MS,
          count: 2,
          sum: 8,
          min: 3,
          max: 5,
          mean: 4,
          stddev: 1,
          timeWeightedMean: 4,
          first: 3,
          last: 5,
          final: true,
          correctedAt: START_MS + 90_000,
          version: 768,
        },
        {
          start: START_MS + 10_000,
          count: 2,
          sum: 10,
          min: 4,
          max: 6,
          mean: 5,
          stddev: 1,
          timeWeightedMean: 5,
          first: 4,
          last: 6,
          final: false,
          correctedAt: 0,
          version: 900,
        },
      ],
    })
  })

  it('of text have no numbers, of booleans have true and false', async () => {
    const items = async (metric: string) =>
      (
        (await ask(`/v1/devices/pump/rollups?metric=${metric}&${span}&resolution=10s`))
          .body as Rollups
      ).items
    const [text] = await items('mode')
    assert.deepEqual(
      [text?.sum, text?.min, text?.max, text?.mean, text?.first, text?.last],
      [null, null, null, null, 'a', 'b'],
    )
    assert.deepEqual([text?.stddev, text?.timeWeightedMean, text?.count], [null, null, 2])
    const [door] = await items('door')
    assert.deepEqual([door?.first, door?.last, door?.mean], [false, true, 1])
  })

  it('with a sum beyond a 64-bit float have no sum and no mean, rather than a mean of 0', async () => {
    const dayMs = START_MS + 86_400_000
    const huge = (startMs: number) => ({ ...window(startMs, 7, true, 0), sum: 1.7e308 })
    const rows = [huge(dayMs), huge(dayMs + 60_000)]
    await insertRollups(api.clickhouse, 'rollup_1m', rows)
    const query = `metric=temperature&from=${dayMs}&to=${dayMs + 900_000}&resolution=15m`
    const { body } = await ask(`/v1/devices/pump/rollups?${query}`)
    const [merged] = (body as Rollups).items
    assert.deepEqual([merged?.count, merged?.sum, merged?.mean], [4, null, null])
  })

  it('choose the finest resolution that fits maxPoints', async () => {
    const chosen = async (spanMs: number, maxPoints: number) => {
      const query = `metric=temperature&from=${START_MS}&to=${START_MS + spanMs}&maxPoints=${maxPoints}`
      return ((await ask(`/v1/devices/pump/rollups?${query}`)).body as Rollups).resolution
    }
    assert.equal(await chosen(60_000, 6), '10s')
    assert.equal(await chosen(60_001, 6), '1m')
    assert.equal(await chosen(3_600_000, 4), '15m')
    assert.equal(await chosen(86_400_000, 4), '6h')
    assert.equal(await chosen(400 * 86_400_000, 10), '1d')
  })

  it('refuse what is not offered', async () => {
    const path = `/v1/devices/pump/rollups?metric=temperature&${span}`
    assertRefused(await ask(`${path}&resolution=5m`), 'request_invalid', 'resolution')
    assertRefused(await ask(`${path}&maxPoints=0`), 'request_invalid', 'maxPoints')
    assertRefused(await ask(`${path}&limit=5`), 'request_invalid', 'limit')
  })
})

describe('a restamped message', () => {
  it('shows when the device said it was, in readings and in latest', async () => {
    const { clickhouse } = api
    const [series, atMs, metric] = ['77', START_MS + 40_000, 'restamped']
    const row = { tenant: 'acme', series }
    await insertSeries(clickhouse, [{ ...row, device: 'pump', metric, kind: 'number' }])
    await insertSamples(clickhouse, [
      { ...row, atMs, value: 1, shift: 86_400_000 },
      { ...row, atMs: atMs + 1, value: 2, shift: -5_000 },
      { ...row, atMs: atMs + 2, value: 3 },
    ])
    assert.deepEqual((await readings(`metric=${metric}&${span}`)).items, [
      { at: atMs, value: 1, deviceAt: atMs + 86_400_000 },
      { at: atMs + 1, value: 2, deviceAt: atMs + 1 - 5_000 },
      { at: atMs + 2, value: 3 },
    ])
    const refs = await api.parts.telemetry.series('acme', ['pump'], metric)
    await insertSamples(clickhouse, [{ ...row, atMs: atMs + 3, value: 4, shift: 60_000 }])
    const newest = await api.parts.telemetry.newest('acme', refs, systemClock.nowMs())
    const said = { value: 4, at: atMs + 3, deviceAt: atMs + 60_003 }
    assert.deepEqual(newest, [{ device: 'pump', metric, ...said }])
  })
})
