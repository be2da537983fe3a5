/**
 * The numbered SQL files of one database: `0001_what.sql`, `0002_…`. What has been applied is told
 * by number and checksum; a file that was applied is never edited again.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../platform/failure.ts'
import { packageRoot } from '../platform/package-root.ts'

export type Migration = Readonly<{
  version: number
  name: string
  sql: string
  /** SHA-256 of the file, in hex. */
  checksum: string
}>
export type AppliedMigration = Readonly<{ version: number; name: string; checksum: string }>

/** What a run did: names of files applied now, and how many had been applied before. */
export type MigrationReport = Readonly<{ applied: readonly string[]; before: number }>

/** The folder with the files of a database that this project owns. */
export const migrationFolder = (database: 'postgres' | 'clickhouse'): string =>
  join(packageRoot(import.meta.dirname), 'migrations', database)

/** All files in order. Throws migration_conflict on a gap, a repetition or a strange name. */
export function readMigrations(folder: string): readonly Migration[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.sql'))
  return names.toSorted().map((name, index) => {
    const version = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1])
    if (version !== index + 1) {
      throw new Failure(
        'migration_conflict',
        `${join(folder, name)} is not the expected file number ${index + 1}: files are named 0001_what.sql without gaps`,
      )
    }
    const sql = readFileSync(join(folder, name), 'utf8')
    return { version, name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
  })
}

/** The files still to be applied; throws migration_conflict when history and files differ. */
export function pendingMigrations(
  files: readonly Migration[],
  applied: readonly AppliedMigration[],
): readonly Migration[] {
  const byVersion = new Map(files.map((file) => [file.version, file]))
  for (const { version, name, checksum } of applied) {
    const file = byVersion.get(version)
    if (file === undefined) {
      throw new Failure(
        'migration_conflict',
        `the database has ${name} applied, which this program does not know: it was used by a newer version`,
      )
    }
    if (file.checksum !== checksum) {
      throw new Failure(
        'migration_conflict',
        `${file.name} was changed after it was applied as ${name}: undo the change and put it into a new file`,
      )
    }
  }
  const done = new Set(applied.map(({ version }) => version))
  return files.filter(({ version }) => !done.has(version))
}
