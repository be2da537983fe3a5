/**
 * Windows at every resolution, from tables in which some hours and days are stored and others are
 * not yet: held here to a plain look at all the samples.
 */
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../platform/clock.ts'
import { binOf } from '../../schemas/quantile-sketch.ts'
import { emptyWindowState, mergeInto, type WindowState } from '../../schemas/window-merge.ts'
import { testStack } from '../../test/stack.ts'
import { type Resolution, RESOLUTIONS } from '../contract/resources.ts'
import { type ApiDatabases, openDatabases } from '../testing/api-fixture.ts'
import { insertRollups, type RollupRow } from '../testing/telemetry-rows.ts'
import { resolutionMs } from './resolution.ts'
import type { MergedWindow } from './rollup-reader.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const DAYS = 3
/** A midnight that no table's TTL has reached. */
const START_MS = (Math.floor(systemClock.nowMs() / DAY_MS) - 10) * DAY_MS

let databases: ApiDatabases
let nextSeries = 1
before(async () => {
  databases = await openDatabases(await testStack())
})
after(() => databases.close())

type Sample = Readonly<{ tsMs: number; value: number }>

/** Some minutes are busy, most of the time nothing is said. */
const samples = fc
  .uniqueArray(
    fc.record({
      tsMs: fc
        .tuple(fc.integer({ min: 0, max: DAYS * 1440 - 1 }), fc.constantFrom(0, 1, 29_999, 59_999))
        .map(([minute, ms]) => START_MS + minute * MINUTE_MS + ms),
      value: fc.integer({ min: -4_000, max: 4_000 }).map((value) => value / 7),
    }),
    { selector: ({ tsMs }) => tsMs, maxLength: 80 },
  )
  .map((unordered) => unordered.toSorted((a, b) => a.tsMs - b.tsMs))

const plan = fc.record({
  all: samples,
  /** Which hours and days are stored: any, because what is stored first is nobody's promise. */
  hours: fc.infiniteStream(fc.boolean()).map((stream) => [...stream.take(DAYS * 24)]),
  days: fc.array(fc.boolean(), { minLength: DAYS, maxLength: DAYS }),
  /** Minutes before this one are final. */
  closedMinutes: fc.integer({ min: 0, max: DAYS * 1440 }),
  resolution: fc.constantFrom<Resolution>(...RESOLUTIONS.slice(1)),
  fromMinute: fc.integer({ min: 0, max: DAYS * 1440 }),
})

function folded(of: readonly Sample[]): WindowState {
  const state = emptyWindowState()
  for (const { tsMs, value } of of) {
    const [first, last, firstTsMs, lastTsMs] = [value, value, tsMs, tsMs]
    const one = { count: 1, sum: value, min: value, max: value, first, last, firstTsMs, lastTsMs }
    mergeInto(state, { ...emptyWindowState(), ...one, sketch: new Map([[binOf(value), 1]]) })
  }
  return state
}

function byWindow(all: readonly Sample[], sizeMs: number): ReadonlyMap<number, readonly Sample[]> {
  const windows = new Map<number, Sample[]>()
  for (const sample of all) {
    const start = sample.tsMs - (sample.tsMs % sizeMs)
    windows.set(start, [...(windows.get(start) ?? []), sample])
  }
  return windows
}

type Window = Readonly<{ startMs: number; state: WindowState }>

const minutesOf = (all: readonly Sample[]): readonly Window[] =>
  [...byWindow(all, MINUTE_MS)].map(([startMs, inside]) => ({ startMs, state: folded(inside) }))

/** As the pipeline's cascade merges them. */
function parentsOf(children: readonly Window[], sizeMs: number): readonly Window[] {
  const parents = new Map<number, WindowState>()
  for (const { startMs, state } of children) {
    const start = startMs - (startMs % sizeMs)
    const parent = parents.get(start) ?? emptyWindowState()
    mergeInto(parent, state)
    parents.set(start, parent)
  }
  return [...parents].map(([startMs, state]) => ({ startMs, state }))
}

/** Rows of one table; of each an older state too, which must not be seen. */
function rowsOf(
  series: string,
  windows: readonly Window[],
  revisionOf: (startMs: number) => Readonly<{ final: boolean; version: number }> | undefined,
): RollupRow[] {
  return windows.flatMap(({ startMs, state }) => {
    const revision = revisionOf(startMs)
    if (revision === undefined) return []
    const { firstTsMs: firstTs, lastTsMs: lastTs, ...rest } = state
    const row = { tenant: 'acme', series, startMs, firstTs, lastTs, ...rest }
    const older = { ...row, count: 1, sum: -1, version: revision.version - 1 }
    return [older, { ...row, ...revision }]
  })
}

it('merging stored days, hours and minutes gives what a look at all samples gives', async () => {
  const cases = fc.asyncProperty(plan, async (given) => {
    const { all, hours, days, closedMinutes, resolution } = given
    const { clickhouse, parts } = databases
    const series = String(++nextSeries)
    const closedMs = START_MS + closedMinutes * MINUTE_MS
    const minutes = minutesOf(all)
    const hoursOfAll = parentsOf(minutes, HOUR_MS)
    const isFinal = (startMs: number) => ({ final: startMs + MINUTE_MS <= closedMs, version: 7 })
    const stored = (list: readonly boolean[], sizeMs: number) => (startMs: number) =>
      startMs + sizeMs <= closedMs && list[(startMs - START_MS) / sizeMs] === true
        ? { final: true, version: 7 }
        : undefined
    const hourRows = rowsOf(series, hoursOfAll, stored(hours, HOUR_MS))
    const dayRows = rowsOf(series, parentsOf(hoursOfAll, DAY_MS), stored(days, DAY_MS))
    await insertRollups(clickhouse, 'rollup_1m', rowsOf(series, minutes, isFinal))

    const ref = { device: 'd', metric: 'm', kind: 'number', series } as const
    const fromMs = START_MS + given.fromMinute * MINUTE_MS
    const toMs = START_MS + 2.5 * DAY_MS
    const ask = { fromMs, toMs, resolution, limit: 10_000, sketches: true }
    const fromMinutes = await parts.rollups.windows('acme', ref, ask)
    await insertRollups(clickhouse, 'rollup_1h', hourRows)
    await insertRollups(clickhouse, 'rollup_1d', dayRows)
    const windows = await parts.rollups.windows('acme', ref, ask)
    // To the last bit: nobody sees by a number when an hour or a day was stored.
    assert.deepEqual(windows.map(withoutFinal), fromMinutes.map(withoutFinal))

    const windowMs = resolutionMs(resolution)
    const expected = [...byWindow(all, windowMs)].filter(
      ([start]) => start >= fromMs && start < toMs,
    )
    assert.deepEqual(
      windows.map(({ startMs }) => startMs),
      expected.map(([start]) => start),
    )
    for (const [at, [start, inside]] of expected.entries()) {
      const window = windows[at]
      assert.ok(window !== undefined)
      assertHolds(window, folded(inside))
      // A window of which something is still open never claims to be closed.
      if (window.final) assert.ok(start + windowMs <= closedMs)
    }
  })
  await fc.assert(cases, { numRuns: 25, includeErrorInReport: true })
})

const withoutFinal = ({ startMs, version, correctedAtMs, part }: MergedWindow) => ({
  ...{ startMs, version, correctedAtMs },
  part: { ...part, sketch: [...part.sketch].toSorted(([a], [b]) => a - b) },
})

function assertHolds({ part }: MergedWindow, expected: WindowState): void {
  const exact = ({ sum: _s, m2: _m, integral: _i, sketch, ...rest }: WindowState) => ({
    ...rest,
    sketch: [...sketch].toSorted(([a], [b]) => a - b),
  })
  assert.deepEqual(exact({ ...part, sketch: new Map(part.sketch) }), exact(expected))
  for (const name of ['sum', 'm2', 'integral'] as const) {
    const size = name === 'integral' ? 600 * DAYS * DAY_MS : 600 * 600 * 80
    const error = Math.abs(part[name] - expected[name])
    assert.ok(error <= 1e-12 * size, `${name}: ${part[name]} for ${expected[name]}`)
  }
}
