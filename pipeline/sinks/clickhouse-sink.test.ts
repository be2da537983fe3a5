/** The tables' side of a flush on a real ClickHouse, in sizes that a start-up of a fleet brings. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { migrateClickhouse } from '../../migrations/migrate-clickhouse.ts'
import { Clickhouse, quoted } from '../../platform/clickhouse/clickhouse.ts'
import { testStack } from '../../test/stack.ts'
import { Series } from '../window/series.ts'
import { clickhouseSink } from './clickhouse-sink.ts'

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
