/**
 * A tenth of all samples delivered again, three tenths out of order, a twentieth up to three days
 * late: the final tables equal those of an in-order run. And the comparison sees a single bit.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { queryRows } from '../../loadtest/clickhouse-query.ts'
import { compareTables } from '../../loadtest/disorder/table-comparison.ts'
import { migrateClickhouse } from '../../migrations/migrate-clickhouse.ts'
import { type TestStack, testStack } from '../stack.ts'
import { createDatabases, weir } from '../system.ts'

const TABLES = [
  ...['message_numbers', 'rollup_10s', 'rollup_1d', 'rollup_1h', 'rollup_1m', 'samples', 'series'],
]

type Report = Readonly<{
  ok: boolean
  samples: number
  disordered: Readonly<{
    disorder: Readonly<Record<'again' | 'outOfOrder' | 'late' | 'lateAgain', number>>
    counted: Readonly<Record<'lateSamples' | 'corrections', number>>
  }>
  tables: readonly Readonly<{ table: string; rows: number; hashes: readonly string[] }>[]
}>

describe('disorder', () => {
  let stack: TestStack
  let folder: string
  let dropDatabases: () => Promise<void>
  before(async () => {
    stack = await testStack()
    folder = mkdtempSync(join(tmpdir(), 'weir-disorder-'))
    dropDatabases = await createDatabases(stack, `${stack.namespace}a`)
  })
  after(async () => {
    await dropDatabases()
    rmSync(folder, { recursive: true, force: true })
  })

  it('of 4,000 samples leaves the final tables as the run in order left them', async (t) => {
    const stackFile = join(folder, 'stack.json')
    const postgres = new URL(stack.postgres.url)
    postgres.pathname = `/${stack.namespace}a`
    writeFileSync(stackFile, JSON.stringify({ ...stack, postgres: { url: postgres.toString() } }))
    const seed = randomBytes(3).toString('hex')
    t.diagnostic(`seed ${seed}`)
    const args = ['disorder', '--stack', stackFile, '--samples', '4000', '--seed', seed, '--json']
    const output = await weir('loadtest', {}, args)
    const report: Report = JSON.parse(output.trim().split('\n').at(-1) ?? '')
    assert.equal(report.ok, true, output)
    const { disorder, counted } = report.disordered
    assert(disorder.again >= 0.1 * report.samples)
    assert(disorder.outOfOrder >= 0.3 * report.samples)
    assert(disorder.late >= 0.05 * report.samples)
    assert.equal(counted.lateSamples, disorder.late + disorder.lateAgain)
    assert(counted.corrections > 0)
    assert.deepEqual(
      report.tables.map(({ table }) => table),
      TABLES,
    )
    for (const { table, rows, hashes } of report.tables) {
      assert(rows > 0, table)
      assert.equal(hashes[0], hashes[1], table)
    }
  })

  it('is told by one bit of one sum, by a missing row, and not by who wrote it and when', async () => {
    const [a, b] = [`${stack.namespace}a`, `${stack.namespace}b`].map((database) => ({
      ...{ url: stack.clickhouse.url, database, user: 'default', password: '' },
    }))
    assert(a !== undefined && b !== undefined)
    await migrateClickhouse(a)
    await migrateClickhouse(b)
    const add = (place: typeof a, values: string) =>
      queryRows(place, {
        sql: `INSERT INTO rollup_1h (tenant, series, w, sum, part, corrected_at, ver) VALUES ${values}`,
      })
    const differences = async (): Promise<string[]> =>
      (await compareTables(a, b)).flatMap(({ difference }) => difference ?? [])
    try {
      await add(a, `('t', 1, toStartOfDay(now()), 0.3, 1, 0, 1)`)
      await add(b, `('t', 1, toStartOfDay(now()), 0.3, 2, 5, 7)`)
      assert.deepEqual(await differences(), [])
      await add(b, `('t', 1, toStartOfDay(now()), 0.1 + 0.2, 2, 5, 8)`)
      const [bit = '', ...others] = await differences()
      assert.match(
        bit,
        /^row 0 \(tenant t, series 1, w .*\): sum is 0.30000000000000004 instead of 0.3$/,
      )
      assert.deepEqual(others, [])
      await add(a, `('t', 1, toStartOfDay(now()), 0.1 + 0.2, 1, 0, 9)`)
      await add(a, `('t', 2, toStartOfDay(now()), 1, 1, 0, 1)`)
      const [missing = ''] = await differences()
      assert.match(
        missing,
        /^row 1 is nothing instead of tenant t, series 2, .*; 1 rows instead of 2$/,
      )
    } finally {
      await queryRows({ ...a, database: 'default' }, { sql: `DROP DATABASE ${b.database}` })
    }
  })
})
