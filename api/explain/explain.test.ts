/** A window laid open over HTTP, from a real ClickHouse: samples, rows, and whether they agree. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../platform/clock.ts'
import { binOf } from '../../schemas/quantile-sketch.ts'
import { emptyWindowState, mergeInto } from '../../schemas/window-merge.ts'
import { testStack } from '../../test/stack.ts'
import type { Explanation } from '../contract/explanation.ts'
import type { Problem } from '../contract/resources.ts'
import { LIMITS } from '../limits.ts'
import { assertFits } from '../testing/answer-schema.ts'
import { type Ask, jsonBody, serveApi, type ServedApi } from '../testing/api-fixture.ts'
import {
  insertRollups,
  insertSamples,
  insertSeries,
  type RollupRow,
  type SampleRow,
} from '../testing/telemetry-rows.ts'

const DAY_MS = 86_400_000
const START_MS = (Math.floor(systemClock.nowMs() / DAY_MS) - 10) * DAY_MS
const tenant = 'acme'
const OFFSET_INV = 2 ** 40
const versionOf = (offset: number, foldEpoch = 1): number => offset * 256 + foldEpoch

let api: ServedApi
let ask: Ask
let nextSeries = 100

before(async () => {
  api = await serveApi(await testStack())
  ask = api.ask
  await ask('/v1/devices', jsonBody({ id: 'oven' }))
})
after(() => api.close())

/** A fresh series under a metric of its own. */
async function series(kind: 'number' | 'boolean' | 'text', metric?: string): Promise<string> {
  const id = String(++nextSeries)
  const row = { tenant, device: 'oven', metric: metric ?? `m${id}`, kind, series: id }
  await insertSeries(api.clickhouse, [row])
  return id
}

async function explain(query: string): Promise<Explanation> {
  const { status, body } = await ask(`/v1/devices/oven/explain?${query}`)
  assert.equal(status, 200, JSON.stringify(body))
  assertFits('Explanation', body)
  return body as Explanation
}

type Sample = Readonly<{ atMs: number; value: number }>

const rawRows = (id: string, samples: readonly Sample[]): SampleRow[] =>
  samples.map((sample, offset) => {
    const place = { partition: 3, offset, inv: OFFSET_INV - offset }
    return { tenant, series: id, ...sample, ...place }
  })

function rollupRow(id: string, startMs: number, samples: readonly Sample[]): RollupRow {
  const state = emptyWindowState()
  for (const { atMs, value } of samples) {
    const ends = { first: value, last: value, firstTsMs: atMs, lastTsMs: atMs }
    const one = { count: 1, sum: value, min: value, max: value, ...ends }
    mergeInto(state, { ...emptyWindowState(), ...one, sketch: new Map([[binOf(value), 1]]) })
  }
  const { firstTsMs: firstTs, lastTsMs: lastTs, ...rest } = state
  const version = versionOf(samples.length)
  return { tenant, series: id, startMs, firstTs, lastTs, ...rest, final: true, version }
}

const three = [
  { atMs: START_MS, value: 1 },
  { atMs: START_MS + 4_000, value: 3 },
  { atMs: START_MS + 9_999, value: 2 },
]

describe('a window', () => {
  it('shows its samples with their places in the log, and what lost against them', async () => {
    const id = await series('number')
    const [first, second, third] = rawRows(id, three)
    assert.ok(first !== undefined && second !== undefined && third !== undefined)
    const { clickhouse } = api
    // Merges would clear what the test is about; within one insert only one delivery is stored.
    await clickhouse.command('SYSTEM STOP MERGES samples')
    const late = { ...second, value: 99, offset: 40, inv: OFFSET_INV - 40 }
    await insertSamples(clickhouse, [late, first])
    await insertSamples(clickhouse, [
      // The same record read again after a crash.
      first,
      { ...second, flags: 1 },
      { ...third, shift: 60_000 },
      // Neighbours that are not in the window.
      { ...first, atMs: START_MS - 1 },
      { ...first, atMs: START_MS + 10_000 },
    ])
    const query = `metric=m${id}&start=${START_MS + 5_000}&resolution=10s`
    const { samples, start, end, sampleCount, verdict } = await explain(query)
    const place = { partition: 3, stamped: true }
    assert.deepEqual(samples, [
      { at: START_MS, value: 1, offset: 0, ...place },
      {
        ...{ at: START_MS + 4_000, value: 3, offset: 1, partition: 3, stamped: false },
        lost: [{ partition: 3, offset: 40, value: 99 }],
      },
      { at: START_MS + 9_999, value: 2, offset: 2, ...place, deviceAt: START_MS + 69_999 },
    ])
    assert.deepEqual([start, end, sampleCount], [START_MS, START_MS + 10_000, 3])
    assert.equal(verdict, 'not_stored')
  })

  it('shows every version of its row that is in the table, newest first, decoded', async () => {
    const id = await series('number')
    const { clickhouse } = api
    // Merges would clear what the test is about.
    await clickhouse.command('SYSTEM STOP MERGES rollup_10s')
    await insertSamples(clickhouse, rawRows(id, three))
    const row = rollupRow(id, START_MS, three)
    const open = { ...rollupRow(id, START_MS, three.slice(0, 2)), final: false }
    await insertRollups(clickhouse, 'rollup_10s', [open])
    await insertRollups(clickhouse, 'rollup_10s', [{ ...row, version: versionOf(70_000) }])
    const correctedAt = START_MS + 123_456
    const corrected = { ...row, version: versionOf(70_000, 2), correctedAt }
    await insertRollups(clickhouse, 'rollup_10s', [corrected])
    await insertRollups(clickhouse, 'rollup_10s', [corrected])
    const query = `metric=m${id}&start=${START_MS}&resolution=10s`
    const { revisions, verdict, checks } = await explain(query)
    assert.deepEqual(
      revisions.map((one) => [one.offset, one.foldEpoch, one.final, one.correctedAt, one.count]),
      [
        [70_000, 2, true, correctedAt, 3],
        [70_000, 1, true, 0, 3],
        [2, 1, false, 0, 2],
      ],
    )
    assert.deepEqual(
      revisions.map((one) => [one.topicEpoch, one.firstAt, one.lastAt]),
      [
        [0, START_MS, START_MS + 9_999],
        [0, START_MS, START_MS + 9_999],
        [0, START_MS, START_MS + 4_000],
      ],
    )
    assert.equal(verdict, 'equal')
    assert.ok(checks.length === 11 && checks.every(({ equal }) => equal))
  })

  it('that is open may be behind its samples, which is no fault', async () => {
    const id = await series('number')
    await insertSamples(api.clickhouse, rawRows(id, three))
    const open = { ...rollupRow(id, START_MS, three.slice(0, 2)), final: false }
    await insertRollups(api.clickhouse, 'rollup_1m', [open])
    const { verdict, checks } = await explain(`metric=m${id}&start=${START_MS}&resolution=1m`)
    assert.equal(verdict, 'provisional')
    const count = checks.find(({ field }) => field === 'count')
    assert.deepEqual(count, { field: 'count', stored: 2, folded: 3, equal: false })
  })

  it('of texts and of booleans is compared in what these have', async () => {
    const [text, door] = [await series('text', 'mixed'), await series('boolean', 'mixed')]
    const { clickhouse } = api
    await insertSamples(clickhouse, [
      { tenant, series: text, atMs: START_MS, text: 'a' },
      { tenant, series: text, atMs: START_MS + 1, text: 'b' },
      { tenant, series: door, atMs: START_MS, value: 1 },
    ])
    const words = rollupRow(text, START_MS, [
      { atMs: START_MS, value: 0 },
      { atMs: START_MS + 1, value: 0 },
    ])
    await insertRollups(clickhouse, 'rollup_1h', [{ ...words, firstText: 'a', lastText: 'c' }])
    await insertRollups(clickhouse, 'rollup_1h', [
      rollupRow(door, START_MS, [{ atMs: START_MS, value: 1 }]),
    ])
    const query = `metric=mixed&start=${START_MS}&resolution=1h`
    const booleans = await explain(query)
    assert.deepEqual([booleans.kind, booleans.verdict], ['boolean', 'equal'])
    const texts = await explain(`${query}&kind=text`)
    assert.deepEqual([texts.kind, texts.verdict], ['text', 'differs'])
    assert.deepEqual(
      texts.checks.filter(({ equal }) => !equal),
      [{ field: 'last', stored: 'c', folded: 'b', equal: false }],
    )
    assert.deepEqual((await explain(`${query}&kind=number`)).verdict, 'empty')
  })

  it('comes in pages of samples, each once, judged as a whole on every one of them', async () => {
    const id = await series('number')
    const many = Array.from({ length: 25 }, (_, k) => ({ atMs: START_MS + k * 300, value: k }))
    await insertSamples(api.clickhouse, rawRows(id, many))
    await insertRollups(api.clickhouse, 'rollup_10s', [rollupRow(id, START_MS, many)])
    const query = `metric=m${id}&start=${START_MS}&resolution=10s&limit=10`
    const seen: number[] = []
    let cursor = ''
    for (;;) {
      const page = await explain(`${query}${cursor}`)
      assert.deepEqual([page.verdict, page.sampleCount], ['equal', 25])
      seen.push(...page.samples.map(({ offset }) => offset))
      if (page.next === null) break
      cursor = `&cursor=${page.next}`
    }
    assert.deepEqual(
      seen,
      many.map((_, k) => k),
    )
    const other = `metric=m${id}&start=${START_MS + 10_000}&resolution=10s${cursor}`
    const refused = await ask(`/v1/devices/oven/explain?${other}`)
    assert.equal((refused.body as Problem).code, 'cursor_invalid')
  })

  it('whose samples may have expired is not judged by what is left of them', async () => {
    const id = await series('number')
    const oldMs = START_MS - 395 * DAY_MS
    await insertSamples(api.clickhouse, rawRows(id, [{ atMs: oldMs + 5, value: 1 }]))
    const { verdict } = await explain(`metric=m${id}&start=${oldMs}&resolution=1d`)
    assert.equal(verdict, 'not_checked')
  })

  it('with more samples than are folded again says so', async () => {
    const id = await series('number')
    await api.clickhouse.command(
      `INSERT INTO samples (tenant, series, ts, value, inv)
       SELECT 'acme', ${id}, fromUnixTimestamp64Milli(toInt64(${START_MS} + number * 500)), 1, 1
       FROM numbers(${LIMITS.explainSamplesMax + 1})`,
    )
    const { verdict, sampleCount, next } = await explain(
      `metric=m${id}&start=${START_MS}&resolution=1d`,
    )
    assert.deepEqual([verdict, sampleCount, typeof next], ['not_checked', null, 'string'])
  })

  it('of a metric nobody sent is empty; another tenant’s is never seen', async () => {
    const query = `metric=nothing&start=${START_MS}&resolution=1m`
    const { verdict, kind, samples, revisions } = await explain(query)
    assert.deepEqual([verdict, kind, samples, revisions], ['empty', null, [], []])
    const { askOther } = api
    assert.equal((await askOther(`/v1/devices/oven/explain?${query}`)).status, 404)
    await askOther('/v1/devices', jsonBody({ id: 'oven' }))
    const foreign = await askOther(
      `/v1/devices/oven/explain?metric=mixed&start=${START_MS}&resolution=1h`,
    )
    assert.equal((foreign.body as Explanation).verdict, 'empty')
  })

  for (const [query, field] of [
    [`start=1&resolution=1m`, 'metric'],
    [`metric=m&resolution=1m`, 'start'],
    [`metric=m&start=now&resolution=1m`, 'start'],
    [`metric=m&start=-5&resolution=1m`, 'start'],
    [`metric=m&start=1`, 'resolution'],
    [`metric=m&start=1&resolution=15m`, 'resolution'],
    [`metric=m&start=1&resolution=1m&kind=float`, 'kind'],
    [`metric=m&start=1&resolution=1m&limit=0`, 'limit'],
    [`metric=m&start=1&resolution=1m&verbose=1`, 'verbose'],
  ] as const) {
    it(`is refused: ${query}`, async () => {
      const { status, body } = await ask(`/v1/devices/oven/explain?${query}`)
      const problem = body as Problem
      assert.deepEqual([status, problem.code, problem.field], [400, 'request_invalid', field])
    })
  }
})

const samples = fc
  .uniqueArray(
    fc.record({
      atMs: fc.integer({ min: 0, max: 59_999 }).map((ms) => START_MS + ms),
      value: fc.oneof(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value + 0),
        fc.double({ min: 999_999, max: 1_000_001, noNaN: true }),
      ),
    }),
    { selector: ({ atMs }) => atMs, minLength: 2, maxLength: 60 },
  )
  .map((unordered) => unordered.toSorted((a, b) => a.atMs - b.atMs))

it('a row that the law made is equal; a row with one wrong field is told by that field', async () => {
  const wrong = {
    count: (row: RollupRow) => ({ count: row.count + 1 }),
    sum: (row: RollupRow) => ({ sum: row.sum + 1 }),
    min: (row: RollupRow) => ({ min: row.min - 1e-6 }),
    max: (row: RollupRow) => ({ max: row.max + 1e-6 }),
    first: (row: RollupRow) => ({ first: row.first + 1e-6 }),
    last: (row: RollupRow) => ({ last: row.last + 1e-6 }),
    firstAt: (row: RollupRow) => ({ firstTs: row.firstTs + 1 }),
    lastAt: (row: RollupRow) => ({ lastTs: row.lastTs - 1 }),
    stddev: (row: RollupRow) => ({ m2: (row.m2 ?? 0) * 1.001 + row.count * 1e-3 }),
    integral: (row: RollupRow) => ({ integral: (row.integral ?? 0) + 60_000 * 1e4 }),
    sketch: (row: RollupRow) => ({ sketch: new Map([...(row.sketch ?? []), [32_000, 1]]) }),
  }
  const names = Object.keys(wrong) as (keyof typeof wrong)[]
  const cases = fc.asyncProperty(samples, fc.constantFrom(...names), async (given, name) => {
    const id = await series('number')
    await insertSamples(api.clickhouse, rawRows(id, given))
    const row = rollupRow(id, START_MS, given)
    await insertRollups(api.clickhouse, 'rollup_1m', [row])
    const query = `metric=m${id}&start=${START_MS}&resolution=1m`
    const right = await explain(query)
    assert.equal(right.verdict, 'equal', JSON.stringify(right.checks))
    const version = row.version + 256
    const bad = { ...row, ...wrong[name](row), version }
    await insertRollups(api.clickhouse, 'rollup_1m', [bad])
    const { verdict, checks } = await explain(query)
    assert.equal(verdict, 'differs')
    const told = checks.filter(({ equal }) => !equal).map(({ field }) => field)
    // A wrong count is also a wrong deviation, as that is made of both.
    assert.deepEqual(
      told.filter((field) => name !== 'count' || field !== 'stddev'),
      [name],
    )
  })
  await fc.assert(cases, { numRuns: 12, includeErrorInReport: true })
})
