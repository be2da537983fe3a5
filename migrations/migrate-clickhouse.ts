/**
 * Brings a ClickHouse database to the newest tables. ClickHouse has neither transactions nor locks
 * for this: the caller holds the lock in Postgres (withMigrationLock), and every statement in our
 * files is one that may be repeated (IF NOT EXISTS and the like, which a test demands), because a
 * file that was interrupted is run again from its start.
 */
import { Clickhouse, type ClickhouseOptions, quoted } from '../platform/clickhouse/clickhouse.ts'
import {
  type AppliedMigration,
  migrationFolder,
  type MigrationReport,
  pendingMigrations,
  readMigrations,
} from './migration-files.ts'
import { splitStatements } from './split-statements.ts'

/** Creates the database if need be. Rejects with migration_conflict when an applied file changed. */
export async function migrateClickhouse(
  options: ClickhouseOptions,
  folder = migrationFolder('clickhouse'),
): Promise<MigrationReport> {
  const files = readMigrations(folder)
  const server = new Clickhouse({ ...options, database: 'default' })
  const clickhouse = new Clickhouse(options)
  try {
    await server.command(`CREATE DATABASE IF NOT EXISTS ${quoted(options.database)}`)
    await clickhouse.command(`CREATE TABLE IF NOT EXISTS schema_migrations (
      version UInt32, name String, checksum String, applied_at DateTime('UTC') DEFAULT now()
    ) ENGINE = MergeTree ORDER BY version`)
    const applied = await clickhouse.select<AppliedMigration>(
      'SELECT DISTINCT version, name, checksum FROM schema_migrations ORDER BY version',
    )
    const pending = pendingMigrations(files, applied)
    for (const { version, name, checksum, sql } of pending) {
      for (const statement of splitStatements(sql)) await clickhouse.command(statement)
      await clickhouse.command(
        `INSERT INTO schema_migrations (version, name, checksum)
         SELECT {version:UInt32}, {name:String}, {checksum:String}`,
        { version, name, checksum },
        { settings: { async_insert: 0 } },
      )
    }
    return { applied: pending.map(({ name }) => name), before: applied.length }
  } finally {
    await clickhouse.close()
    await server.close()
  }
}
