/** The tables' side of a flush on a real ClickHouse, in sizes that a start-up of a fleet brings. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { migrateClickhouse } from '../../migrations/migrate-clickhouse.ts'
import { Clickhouse, quoted } from '../../platform/clickhouse/clickhouse.ts'
import { systemClock } from '../../platform/clock.ts'
import { setTableTtlDays } from '../../platform/clickhouse/table-ttl.ts'
import { emptyWindowState } from '../../schemas/window-merge.ts'
import { testStack } from '../../test/stack.ts'
import { RawRows } from '../window/raw-rows.ts'
import { RollupRows } from '../window/rollup-row.ts'
import { Series } from '../window/series.ts'
import { windowStartMs } from '../window/tumbling-windows.ts'
import { clickhouseSink } from './clickhouse-sink.ts'
import { rollupTable } from './rollup-tables.ts'

let clickhouse: Clickhouse
let database: string
before(async () => {
  const stack = await testStack()
  database = `${stack.namespace}sink`
  const options = { url: stack.clickhouse.url, user: 'default', password: '', database }
  await migrateClickhouse(options)
  clickhouse = new Clickhouse(options)
})
after(async () => {
  await clickhouse.command(`DROP DATABASE ${quoted(database)}`)
  await clickhouse.close()
})

describe('a flush with a hundred thousand new series', () => {
  const fleet = Array.from(
    { length: 120_000 },
    (_, n) => new Series('acme', `d${n}`, 'm', 'number'),
  )

  it('finds no collision, and finds the one that there is', async () => {
    const sink = clickhouseSink(clickhouse)
    await sink.insertSeries(fleet)
    assert.deepEqual(await sink.collisions(fleet), [])

    const last = fleet[fleet.length - 1]
    assert.ok(last !== undefined)
    const twin = new Series('acme', 'other', 'm', 'number')
    await sink.insertSeries([Object.assign(twin, { id: last.id })])
    const [name, ...more] = await sink.collisions(fleet)
    assert.match(name ?? '', /other/)
    assert.equal(more.length, 0)
  })
})

describe('a late sample in the last second of its minute, alone in its part', () => {
  it('is read back for the correction of its window', async () => {
    const sink = clickhouseSink(clickhouse)
    const series = new Series('acme', 'late', 'm', 'number')
    const cellMs = Date.UTC(2026, 10, 20, 21, 20)
    const raw = new RawRows(0)
    raw.add(series, cellMs + 59_125, 7, 1, 0)
    await sink.insertSamples([raw])
    const found: number[] = []
    const fold = { add: (_series: Series, tsMs: number) => void found.push(tsMs) }
    await sink.readSamples([{ series, cellStartsMs: [cellMs] }], () => fold)
    assert.deepEqual(found, [cellMs + 59_125])
  })
})

describe('hours whose minutes have begun to expire', () => {
  it('are not merged again: they would hold less than they did', async () => {
    const days = 3
    await setTableTtlDays(clickhouse, rollupTable(60_000), { time: 'w', days })
    const hourMs = 3_600_000
    const edgeMs = windowStartMs(systemClock.nowMs() - days * 86_400_000, hourMs)
    const rows = new RollupRows(60_000)
    const series = new Series('acme', 'old', 'm', 'number')
    // Beginning with the hour in which minutes expire now; its last minute is still there.
    for (const hour of [0, 1, 3, 4]) {
      const startMs = edgeMs + hour * hourMs + 59 * 60_000
      const head = { series, partition: 7, startMs, final: true, correctedAtMs: 0, version: 1 }
      rows.addMerged(head, emptyWindowState())
    }
    const sink = clickhouseSink(clickhouse)
    await sink.insertRollups([rows])
    const query = { childMs: 60_000, parentMs: hourMs, partitions: [7], fromMs: 0 } as const
    const starts = await sink.parentStarts({ ...query, toMs: edgeMs + 10 * hourMs })
    assert.deepEqual(starts, [edgeMs + 3 * hourMs, edgeMs + 4 * hourMs])
  })
})
