/** Coarse windows are merged from minute rows in ClickHouse: held here to a plain loop. */
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../platform/clock.ts'
import { testStack } from '../../test/stack.ts'
import type { Resolution, Rollup } from '../contract/resources.ts'
import { type ApiDatabases, openDatabases } from '../testing/api-fixture.ts'
import { insertRollups, type RollupRow } from '../testing/telemetry-rows.ts'
import { resolutionMs } from './resolution.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** A midnight that the table's TTL has not reached. */
const START_MS = (Math.floor(systemClock.nowMs() / DAY_MS) - 10) * DAY_MS

let databases: ApiDatabases
let nextSeries = 1
before(async () => {
  databases = await openDatabases(await testStack())
})
after(() => databases.close())

/** Quarters are exact in binary, so that sums are equal whatever the order. */
const quarter = fc.integer({ min: -4_000, max: 4_000 }).map((value) => value / 4)
const minuteRow = fc
  .record({
    minute: fc.integer({ min: 0, max: 3 * 24 * 60 - 1 }),
    values: fc.array(quarter, { minLength: 1, maxLength: 5 }),
    final: fc.boolean(),
    version: fc.integer({ min: 1, max: 2 ** 40 }),
  })
  .map(({ minute, values, final, version }): Omit<RollupRow, 'tenant' | 'series'> => {
    const startMs = START_MS + minute * MINUTE_MS
    return {
      startMs,
      count: values.length,
      sum: values.reduce((sum, value) => sum + value, 0),
      min: Math.min(...values),
      max: Math.max(...values),
      first: values[0] ?? 0,
      last: values.at(-1) ?? 0,
      firstTs: startMs + 1,
      lastTs: startMs + values.length,
      final,
      version,
    }
  })
const coarse = fc.constantFrom<Resolution>('1m', '15m', '1h', '6h', '1d')

type MinuteRow = Omit<RollupRow, 'tenant' | 'series'>

function withoutFinal(rollup: Rollup): Omit<Rollup, 'final'> {
  const copy: Partial<Rollup> & Omit<Rollup, 'final'> = { ...rollup }
  delete copy.final
  return copy
}

/** What the table holds: of one window the highest version. */
function newestRows(rows: readonly MinuteRow[]): readonly MinuteRow[] {
  const byStart = new Map<number, MinuteRow>()
  for (const row of rows) {
    const known = byStart.get(row.startMs)
    if (known === undefined || row.version > known.version) byStart.set(row.startMs, row)
  }
  return [...byStart.values()].sort((a, b) => a.startMs - b.startMs)
}

function bruteForce(
  rows: readonly MinuteRow[],
  windowMs: number,
): readonly Omit<Rollup, 'final'>[] {
  const windows = new Map<number, MinuteRow[]>()
  for (const row of rows) {
    const start = Math.floor(row.startMs / windowMs) * windowMs
    windows.set(start, [...(windows.get(start) ?? []), row])
  }
  return [...windows].map(([start, parts]) => {
    const count = parts.reduce((sum, part) => sum + part.count, 0)
    const sum = parts.reduce((total, part) => total + part.sum, 0)
    return {
      start,
      count,
      sum,
      min: Math.min(...parts.map((part) => part.min)),
      max: Math.max(...parts.map((part) => part.max)),
      mean: sum / count,
      first: parts[0]?.first ?? 0,
      last: parts.at(-1)?.last ?? 0,
      version: Math.max(...parts.map((part) => part.version)),
    }
  })
}

it('merging minute rows gives what a plain loop gives, and claims no finality too early', async () => {
  const cases = fc.asyncProperty(
    fc.uniqueArray(minuteRow, {
      maxLength: 60,
      selector: (row) => `${row.startMs}/${row.version}`,
    }),
    coarse,
    fc.integer({ min: 0, max: 3 * 24 * 60 }),
    async (rows, resolution, fromMinute) => {
      const series = String(nextSeries++)
      const tenant = 'acme'
      const stored = rows.map((row) => ({ ...row, tenant, series }))
      await insertRollups(databases.clickhouse, 'rollup_1m', stored)
      const ref = { device: 'd', metric: 'm', kind: 'number', series } as const
      const windowMs = resolutionMs(resolution)
      const fromMs = START_MS + fromMinute * MINUTE_MS
      const toMs = START_MS + 2.5 * DAY_MS
      const ask = { fromMs, toMs, resolution, limit: 10_000 }
      const merged = await databases.parts.telemetry.rollups(tenant, ref, ask)

      const newest = newestRows(rows)
      const expected = bruteForce(newest, windowMs).filter(
        (window) => window.start >= fromMs && window.start < toMs,
      )
      assert.deepEqual(merged.map(withoutFinal), expected)
      for (const window of merged.filter((one) => one.final)) {
        const endMs = window.start + windowMs
        const inside = newest.filter((row) => row.startMs >= window.start && row.startMs < endMs)
        assert.ok(inside.every((row) => row.final))
        assert.ok(newest.some((row) => row.final && row.startMs + MINUTE_MS >= endMs))
      }
    },
  )
  await fc.assert(cases, { numRuns: 40 })
})
