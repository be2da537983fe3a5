import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { testStack, type TestStack } from '../test/stack.ts'
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { systemClock } from '../platform/clock.ts'
import { Failure } from '../platform/failure.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Postgres } from '../platform/postgres/postgres.ts'
import { migrateClickhouse } from './migrate-clickhouse.ts'
import { migratePostgres, withMigrationLock } from './migrate-postgres.ts'
import { migrationFolder, readMigrations } from './migration-files.ts'
import { splitStatements } from './split-statements.ts'

const logger = createLogger({ level: 'error', format: 'json', clock: systemClock, write: () => {} })
let stack: TestStack
let folder = ''
before(async () => {
  stack = await testStack()
  folder = mkdtempSync(join(tmpdir(), 'weir-migrate-'))
  cpSync(migrationFolder('postgres'), join(folder, 'postgres'), { recursive: true })
  cpSync(migrationFolder('clickhouse'), join(folder, 'clickhouse'), { recursive: true })
})
after(() => rmSync(folder, { recursive: true, force: true }))

describe('Postgres migrations', () => {
  let admin: Postgres
  let postgres: Postgres
  let database = ''
  before(async () => {
    database = `${stack.namespace}migrate`
    admin = connect(stack.postgres.url)
    await admin.query(`CREATE DATABASE ${database}`)
    const url = new URL(stack.postgres.url)
    url.pathname = `/${database}`
    postgres = connect(url.toString())
  })
  after(async () => {
    await postgres.drain(1000)
    await admin.query(`DROP DATABASE ${database} WITH (FORCE)`)
    await admin.drain(1000)
  })

  test('two at once do the work once, and a second run does nothing', async () => {
    const reports = await Promise.all([migratePostgres(postgres), migratePostgres(postgres)])
    const names = readMigrations(migrationFolder('postgres')).map(({ name }) => name)
    assert.deepEqual(
      reports.flatMap(({ applied }) => applied),
      names,
    )
    assert.deepEqual(await migratePostgres(postgres), { applied: [], before: names.length })
    await postgres.query(`INSERT INTO tenants (id, name) VALUES ('demo', 'Demo')`)
  })

  test('an applied file that was changed is refused, and nothing is done', async () => {
    const copy = join(folder, 'postgres')
    const first = readMigrations(copy)[0]?.name ?? ''
    const text = readFileSync(join(copy, first), 'utf8')
    writeFileSync(join(copy, first), `${text}\n-- a small improvement`)
    writeFileSync(join(copy, '0099_more.sql'), 'CREATE TABLE more ()')
    await assert.rejects(migratePostgres(postgres, copy), conflict)
    rmSync(join(copy, '0099_more.sql'))
    await assert.rejects(migratePostgres(postgres, copy), conflict)
    writeFileSync(join(copy, first), text)
    assert.deepEqual((await migratePostgres(postgres, copy)).applied, [])
  })

  test('a file that fails leaves nothing of itself and names its mistake', async () => {
    const copy = join(folder, 'postgres')
    const count = readMigrations(copy).length
    const next = join(copy, `${String(count + 1).padStart(4, '0')}_bad.sql`)
    writeFileSync(next, 'CREATE TABLE half (); SELEKT 1;')
    await assert.rejects(migratePostgres(postgres, copy), /SELEKT/)
    assert.deepEqual(await postgres.query(`SELECT to_regclass('half') AS half`), [{ half: null }])
    rmSync(next)
  })

  test('a database from a newer version is refused', async () => {
    await withMigrationLock(postgres, (queries) =>
      queries.query(`INSERT INTO schema_migrations VALUES (9999, '9999_future.sql', 'x')`),
    )
    await assert.rejects(migratePostgres(postgres), conflict)
    await postgres.query('DELETE FROM schema_migrations WHERE version = 9999')
  })
})

describe('ClickHouse migrations', () => {
  let clickhouse: Clickhouse
  let target: { url: string; database: string; user: string; password: string }
  before(() => {
    const { url } = stack.clickhouse
    target = { url, database: `${stack.namespace}migrate`, user: 'default', password: '' }
    clickhouse = new Clickhouse(target)
  })
  after(async () => {
    await clickhouse.command(`DROP DATABASE IF EXISTS ${target.database}`)
    await clickhouse.close()
  })

  test('an interrupted file is completed by the next run, and a third run does nothing', async () => {
    const copy = join(folder, 'clickhouse')
    const first = readMigrations(copy)[0]
    assert.ok(first !== undefined)
    writeFileSync(join(copy, first.name), `${first.sql}\nSELEKT 1;`)
    await assert.rejects(migrateClickhouse(target, copy), /Syntax error|SYNTAX_ERROR/i)
    const names = readMigrations(migrationFolder('clickhouse')).map(({ name }) => name)
    assert.deepEqual(await migrateClickhouse(target), { applied: names, before: 0 })
    assert.deepEqual(await migrateClickhouse(target), { applied: [], before: names.length })
    assert.deepEqual(await clickhouse.select('SELECT ts, value FROM samples FINAL'), [])
  })

  test('an applied file that was changed is refused', async () => {
    await assert.rejects(migrateClickhouse(target, join(folder, 'clickhouse')), conflict)
  })

  const saltOf = (database: string) =>
    clickhouse.select<{ salt: string }>(`SELECT salt FROM ${database}.series_salt`)

  test('the salt is made once, and a deployment that stores series already has an empty one', async () => {
    const fresh = await saltOf(target.database)
    assert.match(fresh[0]?.salt ?? '', /^[0-9a-f]{32}$/)
    const salting = readMigrations(migrationFolder('clickhouse')).find(
      ({ version }) => version === 4,
    )
    for (const statement of splitStatements(salting?.sql ?? '')) await clickhouse.command(statement)
    assert.deepEqual(await saltOf(target.database), fresh)

    const older = { ...target, database: `${target.database}_older` }
    const copy = mkdtempSync(join(tmpdir(), 'weir-migrate-'))
    for (const { version, name, sql } of readMigrations(migrationFolder('clickhouse'))) {
      if (version < 4) writeFileSync(join(copy, name), sql)
    }
    try {
      await migrateClickhouse(older, copy)
      await clickhouse.command(
        `INSERT INTO ${older.database}.series VALUES ('acme', 'd1', 'm', 'number', 1)`,
      )
      await migrateClickhouse(older)
      assert.deepEqual(await saltOf(older.database), [{ salt: '' }])
    } finally {
      await clickhouse.command(`DROP DATABASE IF EXISTS ${older.database}`)
      rmSync(copy, { recursive: true })
    }
  })

  test('every statement of ours may be repeated', () => {
    const repeatable =
      /\bIF (NOT )?EXISTS\b|\bINSERT INTO (\w+)\s.*\sWHERE NOT EXISTS \(SELECT 1 FROM \2\)$/s
    for (const { name, sql } of readMigrations(migrationFolder('clickhouse'))) {
      for (const statement of splitStatements(sql)) {
        assert.match(statement, repeatable, `${name}: ${statement.slice(0, 80)}`)
      }
    }
  })
})

describe('migration files', () => {
  for (const name of ['0002_gap.sql', '0001-dash.sql', 'first.sql']) {
    test(`${name} is refused as the first file`, () => {
      const strange = mkdtempSync(join(tmpdir(), 'weir-migrate-'))
      writeFileSync(join(strange, name), 'SELECT 1')
      assert.throws(() => readMigrations(strange), conflict)
      rmSync(strange, { recursive: true })
    })
  }
})

describe('splitStatements', () => {
  const cases: readonly [string, string, readonly string[]][] = [
    ['cuts at semicolons', 'a; b ;c', ['a', 'b', 'c']],
    ['keeps semicolons in strings', `x = 'a;b' ; y`, [`x = 'a;b'`, 'y']],
    ['understands doubled and escaped quotes', `'it''s;' ; '\\';'`, [`'it''s;'`, `'\\';'`]],
    ['keeps semicolons in quoted names', 'a "b;" `c;` ; d', ['a "b;" `c;`', 'd']],
    ['keeps semicolons in comments', 'a -- no; cut\n; /* ; */ b', ['a -- no; cut', '/* ; */ b']],
    ['drops what is only comments or empty', ';; -- nothing;\n; /* x */', []],
    ['ends an open string at the end', `a; 'b`, ['a', `'b`]],
  ]
  for (const [behaviour, sql, expected] of cases) {
    test(behaviour, () => assert.deepEqual(splitStatements(sql), expected))
  }
})

const connect = (url: string): Postgres =>
  new Postgres({ url, applicationName: 'migrate-test', logger })

const conflict = (error: unknown): boolean =>
  error instanceof Failure && error.code === 'migration_conflict'
