/**
 * Who changed what, and what it was before. An entry is written in the transaction of its change:
 * there is no change without one, and none for what was rolled back. Secrets never enter it.
 */
import { epochMs } from '../../platform/postgres/epoch-ms.ts'
import type { PostgresQueries } from '../../platform/postgres/postgres.ts'

/** Who does it, and from where. */
export type Actor = Readonly<{ name: string; address: string }>

/** The deployment itself: migrations, the command line on the machine. */
export const SYSTEM: Actor = { name: 'system', address: '' }

export type Change = Readonly<{
  tenant: string
  by: Actor
  /** Such as `device.create`. */
  action: string
  /** Such as `device/pump-1`. */
  subject: string
  /** Undefined: it was not there before, or is not there any more. */
  before?: unknown
  after?: unknown
}>

export type LoggedChange = Readonly<{
  id: number
  atMs: number
  actor: string
  address: string
  action: string
  subject: string
  before: unknown
  after: unknown
}>

export type ChangePage = Readonly<{
  /** Of this subject or actor only. */
  subject?: string | undefined
  actor?: string | undefined
  /** Older than this one; undefined: from the newest on. */
  beforeId: number | undefined
  limit: number
}>

export async function recordChange(sql: PostgresQueries, change: Change): Promise<void> {
  const { tenant, by, action, subject, before, after } = change
  await sql.query(
    `INSERT INTO changes (tenant, actor, address, action, subject, before, after)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [tenant, by.name, by.address, action, subject, jsonOrNull(before), jsonOrNull(after)],
  )
}

export class ChangeLog {
  readonly #database: PostgresQueries

  constructor(database: PostgresQueries) {
    this.#database = database
  }

  /** Newest first. */
  list(tenant: string, page: ChangePage): Promise<readonly LoggedChange[]> {
    const { subject, actor, beforeId, limit } = page
    return this.#database.query<LoggedChange>(
      `SELECT id, ${epochMs('at')} AS "atMs",
         actor, address, action, subject, before, after
       FROM changes
       WHERE tenant = $1 AND ($2::text IS NULL OR subject = $2) AND ($3::text IS NULL OR actor = $3)
         AND ($4::bigint IS NULL OR id < $4)
       ORDER BY id DESC LIMIT $5`,
      [tenant, subject ?? null, actor ?? null, beforeId ?? null, limit],
    )
  }
}

const jsonOrNull = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value)
