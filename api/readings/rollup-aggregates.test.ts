/** What windows say beyond their sums, and what the endpoint says of itself: on a real ClickHouse. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import { systemClock } from '../../platform/clock.ts'
import { binOf, QUANTILE_RELATIVE_ERROR } from '../../schemas/quantile-sketch.ts'
import { testStack } from '../../test/stack.ts'
import type { Problem, Rollup, Rollups } from '../contract/resources.ts'
import { LIMITS } from '../limits.ts'
import { assertFits } from '../testing/answer-schema.ts'
import { type Ask, jsonBody, serveApi, type ServedApi } from '../testing/api-fixture.ts'
import { insertRollups, insertSeries, type RollupRow } from '../testing/telemetry-rows.ts'
import { RollupReader } from './rollup-reader.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const TODAY_MS = Math.floor(systemClock.nowMs() / DAY_MS) * DAY_MS
const START_MS = TODAY_MS - 10 * DAY_MS
const SERIES = {
  heat: '1',
  door: '2',
  mode: '3',
  old: '4',
  year: '5',
  deep: '6',
  holes: '7',
} as const

let api: ServedApi
let ask: Ask

before(async () => {
  api = await serveApi(await testStack())
  ask = api.ask
  await ask('/v1/devices', jsonBody({ id: 'oven' }))
  await insertSeries(
    api.clickhouse,
    Object.entries(SERIES).map(([metric, series]) => {
      const kind = metric === 'door' ? 'boolean' : metric === 'mode' ? 'text' : 'number'
      return { tenant: 'acme', device: 'oven', metric, kind, series } as const
    }),
  )
})
after(() => api.close())

async function rollups(query: string): Promise<Rollups> {
  const { status, body } = await ask(`/v1/devices/oven/rollups?${query}`)
  assert.equal(status, 200, JSON.stringify(body))
  assertFits('Rollups', body)
  return body as Rollups
}

async function assertRefused(query: string, code: string, field: string): Promise<void> {
  const { status, body } = await ask(`/v1/devices/oven/rollups?${query}`)
  const problem = body as Problem
  assert.deepEqual([status, problem.code, problem.field], [400, code, field], query)
}

/** The row of a window with these values, a second apart. */
function row(series: string, startMs: number, values: readonly number[]): RollupRow {
  const sketch = new Map<number, number>()
  for (const value of values) sketch.set(binOf(value), (sketch.get(binOf(value)) ?? 0) + 1)
  const sum = values.reduce((total, value) => total + value, 0)
  const [first = 0, last = 0] = [values[0], values.at(-1)]
  return {
    tenant: 'acme',
    series,
    startMs,
    count: values.length,
    sum,
    min: Math.min(...values),
    max: Math.max(...values),
    first,
    last,
    firstTs: startMs,
    lastTs: startMs + (values.length - 1) * 1_000,
    m2: values.reduce((m2, value) => m2 + (value - sum / values.length) ** 2, 0),
    integral: (sum - (first + last) / 2) * 1_000,
    sketch,
    final: true,
    version: 256,
  }
}

const at = (startMs: number, lengthMs: number): string => `from=${startMs}&to=${startMs + lengthMs}`

/** The same database, and how many rows each question brought. */
function counting(clickhouse: Clickhouse) {
  const reads: number[] = []
  async function* selectChunks<Row>(...ask: Parameters<Clickhouse['selectChunks']>) {
    const at = reads.push(0) - 1
    for await (const rows of clickhouse.selectChunks<Row>(...ask)) {
      reads[at] = (reads[at] ?? 0) + rows.length
      yield rows
    }
  }
  return { reads, database: { selectChunks } }
}

describe('aggregates', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
  before(async () => {
    const { clickhouse } = api
    const texts = { ...row(SERIES.mode, START_MS, [0, 0]), firstText: 'a', lastText: 'b' }
    await insertRollups(clickhouse, 'rollup_1m', [
      row(SERIES.heat, START_MS, hundred.slice(0, 60)),
      row(SERIES.heat, START_MS + 60_000, hundred.slice(60)),
      row(SERIES.heat, START_MS + 900_000, [7]),
      row(SERIES.door, START_MS, [0, 1, 1, 1]),
      { ...texts, sketch: new Map() },
      { ...row(SERIES.old, START_MS, [1, 2, 3]), sketch: new Map() },
    ])
  })

  async function first(metric: string, more: string): Promise<Rollup> {
    const { items } = await rollups(
      `metric=${metric}&${at(START_MS, 900_000)}&resolution=15m${more}`,
    )
    const [item] = items
    assert.ok(item !== undefined)
    return item
  }

  it('are merged: deviation by Chan’s formula, the mean over time across the minutes', async () => {
    const item = await first('heat', '')
    assert.equal(item.count, 100)
    assert.ok(Math.abs((item.stddev ?? 0) - Math.sqrt((100 ** 2 - 1) / 12)) < 1e-9)
    assert.equal(item.timeWeightedMean, 50.5)
    assert.equal(item.percentiles, undefined)
    assert.equal(item.completeness, undefined)
  })

  it('of a single sample are its value, without deviation', async () => {
    const query = `metric=heat&${at(START_MS + 900_000, 60_000)}&resolution=1m`
    const [item] = (await rollups(query)).items
    assert.deepEqual([item?.mean, item?.timeWeightedMean, item?.stddev], [7, 7, 0])
  })

  it('have percentiles on demand, from merged sketches, at the stated error', async () => {
    const item = await first('heat', '&percentiles=0,50,95,99.9,100')
    const found = item.percentiles ?? {}
    assert.deepEqual(Object.keys(found).toSorted(), ['0', '100', '50', '95', '99.9'])
    assert.deepEqual([found['0'], found['99.9'], found['100']], [1, 100, 100])
    for (const [name, exact] of [
      ['50', 50],
      ['95', 95],
    ] as const) {
      const value = found[name] ?? NaN
      assert.ok(Math.abs(value - exact) <= exact * QUANTILE_RELATIVE_ERROR, `p${name}: ${value}`)
    }
    const query = `metric=heat&${at(START_MS, 60_000)}&resolution=1m&percentiles=50`
    assert.equal((await rollups(query)).percentileRelativeError, 1 / 128)
  })

  it('count booleans as 0 and 1', async () => {
    const item = await first('door', '&percentiles=25,50')
    assert.deepEqual(item.percentiles, { '25': 0, '50': 1 })
    assert.deepEqual([item.mean, item.min, item.max, item.first], [0.75, 0, 1, false])
  })

  it('of texts are count, first and last', async () => {
    const item = await first('mode', '&percentiles=50')
    assert.deepEqual(item.percentiles, { '50': null })
    assert.deepEqual([item.count, item.first, item.last, item.stddev], [2, 'a', 'b', null])
  })

  it('of a metric that changed its type are those of the kind asked for', async () => {
    const { clickhouse } = api
    const metric = 'switched'
    const entry = { tenant: 'acme', device: 'oven', metric } as const
    await insertSeries(clickhouse, [
      { ...entry, kind: 'text', series: SERIES.mode },
      { ...entry, kind: 'boolean', series: SERIES.door },
    ])
    const of = async (kind: string) => {
      const query = `metric=${metric}&${at(START_MS, 60_000)}&resolution=1m${kind}`
      const { items, kind: answered } = await rollups(query)
      return [answered, items[0]?.first]
    }
    assert.deepEqual(await of(''), ['boolean', false])
    assert.deepEqual(await of('&kind=text'), ['text', 'a'])
    assert.deepEqual(await of('&kind=number'), [undefined, undefined])
  })

  it('have no percentiles of samples that are older than the sketches', async () => {
    assert.deepEqual((await first('old', '&percentiles=50')).percentiles, { '50': null })
  })

  it('say how complete a window is, against what was expected', async () => {
    const query = `metric=heat&${at(START_MS, 120_000)}&resolution=1m`
    const { items, expected } = await rollups(`${query}&intervalMs=800`)
    assert.deepEqual(expected, { intervalMs: 800, samplesPerWindow: 75 })
    assert.deepEqual(
      items.map(({ completeness }) => completeness),
      [60 / 75, 40 / 75],
    )
    const capped = await rollups(`${query}&intervalMs=2000`)
    assert.deepEqual(
      capped.items.map(({ completeness }) => completeness),
      [1, 1],
    )
  })
})

describe('bad input', () => {
  const query = `metric=heat&${at(START_MS, 60_000)}&resolution=1m`
  const percentiles = ['', '101', '-1', '50,', '50,50', '5e1', '50.0001', 'p50', '50;95', '050']
  for (const bad of [...percentiles, '1,2,3,4,5,6,7,8,9,10,11']) {
    it(`is refused: percentiles=${bad}`, () =>
      assertRefused(`${query}&percentiles=${bad}`, 'request_invalid', 'percentiles'))
  }
  for (const bad of ['0', '-5', '1.5', 'NaN', '', String(LIMITS.intervalMsMax + 1)]) {
    it(`is refused: intervalMs=${bad}`, () =>
      assertRefused(`${query}&intervalMs=${bad}`, 'request_invalid', 'intervalMs'))
  }

  it('is told that percentiles of very many windows are too much', async () => {
    const rows = Array.from({ length: LIMITS.percentilePointsMax + 1 }, (_, minute) =>
      row(SERIES.old, TODAY_MS - 5 * DAY_MS + minute * 60_000, [minute]),
    )
    await insertRollups(api.clickhouse, 'rollup_1m', rows)
    const span = `metric=old&${at(TODAY_MS - 5 * DAY_MS, 2 * DAY_MS)}&resolution=1m`
    assert.equal((await rollups(span)).items.length, rows.length)
    await assertRefused(`${span}&percentiles=50`, 'limit_exceeded', 'resolution')
  })
})

describe('a span', () => {
  it('that begins before rows expire says so, and shows no window that lost a part', async () => {
    const oldMs = TODAY_MS - 90 * DAY_MS
    const query = `metric=heat&${at(oldMs - DAY_MS, 3 * DAY_MS)}`
    const fine = await rollups(`${query}&resolution=10s`)
    const expiredBefore = fine.expiredBefore ?? 0
    assert.equal(expiredBefore % 10_000, 0)
    assert.ok(Math.abs(expiredBefore - (systemClock.nowMs() - 90 * DAY_MS)) < 60_000)
    assert.equal((await rollups(`${query}&resolution=1m`)).expiredBefore, undefined)
    assert.equal((await rollups(`${query}&resolution=1d`)).expiredBefore, undefined)
  })

  it('gets a resolution that is kept for it, where none is named', async () => {
    const chosen = async (daysAgo: number): Promise<string> => {
      const startMs = TODAY_MS - daysAgo * DAY_MS
      return (await rollups(`metric=heat&${at(startMs, 60_000)}`)).resolution
    }
    assert.equal(await chosen(80), '10s')
    assert.equal(await chosen(100), '1m')
    assert.equal(await chosen(500), '1h')
    assert.equal(await chosen(2_000), '1d')
  })

  it('of a day at the edge of retention is made of days only, not of the minutes left', async () => {
    // The minutes of that day expire one by one; no row of the day was ever stored.
    const edgeMs = TODAY_MS - 400 * DAY_MS
    await insertRollups(api.clickhouse, 'rollup_1m', [
      row(SERIES.year, edgeMs + DAY_MS - 60_000, [1]),
      row(SERIES.year, edgeMs + 2 * DAY_MS, [2]),
    ])
    const { items } = await rollups(`metric=year&${at(edgeMs, 3 * DAY_MS)}&resolution=1d`)
    assert.deepEqual(
      items.map(({ start, sum }) => [start, sum]),
      [[edgeMs + 2 * DAY_MS, 2]],
    )
  })

  it('of as many windows as are given out at most is merged from all their minutes', async () => {
    const [windows, rows] = [LIMITS.rollupPointsMax, LIMITS.rollupPointsMax * 15]
    const fromMs = TODAY_MS - Math.ceil(windows / 96) * DAY_MS
    await api.clickhouse.command(
      `INSERT INTO rollup_1m (tenant, series, w, cnt, sum, mn, mx, ver)
       SELECT 'acme', ${SERIES.deep}, toDateTime(${fromMs / 1000} + number * 60), 2, 4, 1, 3, 1
       FROM numbers(${rows})`,
      {},
      { settings: { max_partitions_per_insert_block: 1_000 } },
    )
    const query = `metric=deep&${at(fromMs, windows * 900_000)}&resolution=15m`
    const { items } = await rollups(query)
    assert.equal(items.length, windows)
    assert.ok(items.every(({ count, sum, mean }) => count === 30 && sum === 60 && mean === 2))
    const longer = `metric=deep&${at(fromMs - 900_000, (windows + 1) * 900_000)}&resolution=15m`
    const first = row(SERIES.deep, fromMs - 900_000, [1])
    await insertRollups(api.clickhouse, 'rollup_1m', [first])
    await assertRefused(longer, 'limit_exceeded', 'resolution')
  })

  it('with a hole at every other hour counts each hour once', async () => {
    const { clickhouse } = api
    const fromMs = TODAY_MS - 15 * DAY_MS
    const hours = Array.from({ length: 150 }, (_, hour) => fromMs + hour * HOUR_MS)
    const stored = hours.filter((_, at) => at % 2 === 0)
    const minutes = hours.map((startMs) => row(SERIES.holes, startMs + 60_000, [1, 2]))
    await insertRollups(clickhouse, 'rollup_1m', minutes)
    await insertRollups(
      clickhouse,
      'rollup_1h',
      stored.map((startMs) => row(SERIES.holes, startMs, [1, 2])),
    )
    const { items } = await rollups(`metric=holes&${at(fromMs, 7 * DAY_MS)}&resolution=1h`)
    assert.deepEqual(
      items.map(({ start, sum }) => [start, sum]),
      hours.map((startMs) => [startMs, 3]),
    )
  })

  it('has no final window of which a part is open', async () => {
    const fromMs = TODAY_MS - 16 * DAY_MS
    const minute = (index: number) => row(SERIES.holes, fromMs + index * 60_000, [1])
    await insertRollups(api.clickhouse, 'rollup_1m', [
      { ...minute(0), final: false },
      minute(14),
      minute(15),
      minute(29),
      minute(30),
    ])
    const { items } = await rollups(`metric=holes&${at(fromMs, HOUR_MS)}&resolution=15m`)
    assert.deepEqual(
      items.map(({ final }) => final),
      [false, true, false],
    )
  })

  it('of a year of days is answered from the days, the hours of today and its last minutes', async () => {
    const { clickhouse } = api
    const days = Array.from({ length: 365 }, (_, day) =>
      row(SERIES.heat, TODAY_MS - (day + 20) * DAY_MS, [day]),
    )
    await insertRollups(clickhouse, 'rollup_1d', days)
    const lastMs = TODAY_MS - 19 * DAY_MS
    const hours = [0, 1, 2].map((hour) => row(SERIES.heat, lastMs + hour * HOUR_MS, [hour, hour]))
    await insertRollups(clickhouse, 'rollup_1h', hours)
    const minute = { ...row(SERIES.heat, lastMs + 3 * HOUR_MS, [9]), final: false }
    await insertRollups(clickhouse, 'rollup_1m', [minute])
    const query = `metric=heat&${at(lastMs - 365 * DAY_MS, 366 * DAY_MS)}&resolution=1d`
    const { items } = await rollups(query)
    assert.equal(items.length, 366)
    assert.deepEqual([items[0]?.sum, items[364]?.sum], [364, 0])
    assert.deepEqual([items[365]?.count, items[365]?.sum, items[365]?.final], [7, 15, false])
    // What it costs is what is read: three questions, and not a minute of the days before.
    const { reads, database } = counting(clickhouse)
    const reader = new RollupReader(database, api.parts.retention)
    const ref = { device: 'oven', metric: 'heat', kind: 'number', series: SERIES.heat } as const
    const span = { fromMs: lastMs - 365 * DAY_MS, toMs: lastMs + DAY_MS, limit: 1_000 }
    await reader.windows('acme', ref, { ...span, resolution: '1d', sketches: false })
    assert.deepEqual(reads, [365, 3, 1])
  })
})
