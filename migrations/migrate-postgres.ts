/**
 * Brings a Postgres database to the newest tables: all pending files in one transaction, under a
 * lock, so that any number of processes may try at once and none sees half a migration.
 */
import type { Postgres, PostgresQueries } from '../platform/postgres/postgres.ts'
import {
  type AppliedMigration,
  migrationFolder,
  type MigrationReport,
  pendingMigrations,
  readMigrations,
} from './migration-files.ts'

/** Any constant will do, as long as nobody else locks it: the letters "weir". */
const LOCK_KEY = 0x77656972

/** Rejects with migration_conflict when an applied file has changed; then nothing was done. */
export async function migratePostgres(
  postgres: Postgres,
  folder = migrationFolder('postgres'),
): Promise<MigrationReport> {
  const files = readMigrations(folder)
  return withMigrationLock(postgres, async (queries) => {
    await queries.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
      version integer PRIMARY KEY,
      name text NOT NULL,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`)
    const applied = await queries.query<AppliedMigration>(
      'SELECT version, name, checksum FROM schema_migrations ORDER BY version',
    )
    const pending = pendingMigrations(files, applied)
    for (const { version, name, checksum, sql } of pending) {
      await queries.query(sql)
      await queries.query(
        'INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)',
        [version, name, checksum],
      )
    }
    return { applied: pending.map(({ name }) => name), before: applied.length }
  })
}

/** Runs `work` while no other migration of this deployment runs, in one transaction. */
export function withMigrationLock<T>(
  postgres: Postgres,
  work: (queries: PostgresQueries) => Promise<T>,
): Promise<T> {
  return postgres.transaction(async (queries) => {
    await queries.query('SET LOCAL statement_timeout = 0')
    await queries.query('SET LOCAL idle_in_transaction_session_timeout = 0')
    await queries.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY])
    return work(queries)
  })
}
