import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Rollup } from '../../api/contract/resources.ts'
import type { ApiClient, Answer } from '../api-client.ts'
import { LiveFeed } from '../live/live-feed.ts'
import { connectTo, startFeedServer } from '../testing/feed-server.ts'
import { ChartSeries } from './chart-series.ts'
import { pointOfReading } from './point-series.ts'

/** A wait for something that never comes is a failed test, not a stuck one. */
const LIMIT = { timeout: 20_000 }
const NOW_MS = 1_000_000
const HOUR_MS = 3_600_000
const RANGE = { fromMs: 0, toMs: NOW_MS }

const rollup = (start: number, version: number): Rollup => ({
  ...pointOfReading(start, version),
  version,
})
const item = (start: number, version: number) =>
  ({ device: 'd', metric: 'm', resolution: '10s', ...rollup(start, version) }) as const

/** A chart over a real socket; what the api has stored is a map that the test writes. */
async function start(context: TestContext, nowAtMs = NOW_MS) {
  const server = await startFeedServer('k')
  const stored = new Map<number, Rollup>()
  const store = (...rollups: Rollup[]) => rollups.forEach((one) => stored.set(one.start, one))
  const feed = new LiveFeed({
    key: 'k',
    connect: connectTo(() => server.port),
    nowMs: () => nowAtMs,
    chance: () => 0,
  })
  const broken: { answer: Answer<never> | undefined } = { answer: undefined }
  const api: Pick<ApiClient, 'rollups' | 'readings'> = {
    rollups: async ({ range, resolution }) => {
      if (broken.answer !== undefined) return broken.answer
      const items = [...stored.values()].filter(
        ({ start: at }) => at >= range.fromMs && at < range.toMs,
      )
      return { kind: 'ok', value: { resolution, items } }
    },
    readings: async () => ({ kind: 'ok', value: { items: [{ at: 5, value: 7 }], next: null } }),
  }
  const wake = new Set<() => void>()
  const onChange = () => wake.forEach((one) => one())
  const series = new ChartSeries({
    api,
    feed,
    device: 'd',
    metric: 'm',
    nowMs: () => nowAtMs,
    onChange,
  })
  const until = async (true_: () => boolean) => {
    while (!true_()) await new Promise<void>((resolve) => wake.add(resolve))
  }
  context.after(async () => {
    series.close()
    feed.close()
    await server.stop()
  })
  const starts = () => series.shown.points.map((point) => point.start)
  return { server, feed, series, store, until, starts, broken }
}

test(
  'what was stored while disconnected closes the hole, corrections included',
  LIMIT,
  async (context) => {
    const { server, feed, series, store, until, starts } = await start(context)
    store(rollup(0, 1), rollup(10_000, 1))
    feed.start()
    series.show(RANGE, '10s')
    const { id } = await server.said('subscribe')
    await until(() => starts().length === 2)
    server.say({ type: 'update', id, cursor: '1', items: [item(20_000, 1)] })
    await until(() => starts().length === 3)

    server.cut()
    // Nobody hears these: two windows pass and an old one is corrected.
    store(rollup(20_000, 2), rollup(30_000, 1), rollup(40_000, 1), rollup(0, 9))
    feed.retryNow()
    await until(() => starts().length === 5)
    assert.deepEqual(starts(), [0, 10_000, 20_000, 30_000, 40_000])
    assert.equal(series.shown.points[0]?.version, 9)
    assert.ok(series.shown.corrected >= 1)
  },
)

test('a correction that arrives live replaces the window on screen', LIMIT, async (context) => {
  const { server, feed, series, store, until } = await start(context)
  store(rollup(0, 1), rollup(10_000, 1))
  feed.start()
  series.show(RANGE, '10s')
  const { id } = await server.said('subscribe')
  await until(() => series.shown.points.length === 2)
  server.say({ type: 'update', id, cursor: '1', items: [item(0, 5), item(10_000, 0)] })
  await until(() => series.shown.points[0]?.version === 5)
  assert.equal(series.shown.points[1]?.version, 1)
  assert.equal(series.shown.corrected, 1)
})

test(
  'a correction behind the tail is fetched where the feed has no such windows',
  LIMIT,
  async (context) => {
    const { server, feed, series, store, until } = await start(context, 10 * HOUR_MS)
    store(rollup(0, 1), rollup(HOUR_MS, 1), rollup(9 * HOUR_MS, 1))
    feed.start()
    series.show({ fromMs: 0, toMs: 10 * HOUR_MS }, '1h')
    const { id } = await server.said('subscribe')
    await until(() => series.shown.points.length === 3)
    // The newest window changes all the time and is polled; an old one comes again: a late reading.
    store(rollup(HOUR_MS, 7))
    const minute = (at: number) => ({ ...item(at, 2), resolution: '1m' }) as const
    const items = [minute(9 * HOUR_MS + 60_000), minute(HOUR_MS + 120_000)]
    server.say({ type: 'update', id, cursor: '1', items })
    await until(() => series.shown.points[1]?.version === 7)
    assert.equal(series.shown.corrected, 1)
  },
)

test('a finer grain replaces the old picture only when it has arrived', LIMIT, async (context) => {
  const { series, store, until } = await start(context)
  store(rollup(0, 1))
  series.show(RANGE, '1m')
  await until(() => series.shown.points.length === 1)
  series.show({ fromMs: 0, toMs: 60_000 }, 'raw')
  assert.equal(series.shown.grain, '1m')
  await until(() => series.shown.grain === 'raw')
  assert.deepEqual(
    series.shown.points.map(({ start: at, mean }) => [at, mean]),
    [[5, 7]],
  )
})

test('a failed fetch is told, and a retry that works clears it', LIMIT, async (context) => {
  const { series, store, until, broken } = await start(context)
  store(rollup(0, 1))
  broken.answer = { kind: 'unreachable', detail: 'refused' }
  series.show(RANGE, '10s')
  await until(() => series.shown.trouble !== undefined)
  broken.answer = undefined
  series.reload()
  await until(() => series.shown.points.length === 1)
  assert.equal(series.shown.trouble, undefined)
})
