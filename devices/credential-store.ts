/**
 * The credentials of a device in Postgres: several at a time, each with a name and a time in which
 * it works. Every change holds the device's row, so that its state is judged as it is then, and is
 * written down in the same transaction. Connectors hear of it by NOTIFY.
 */
import { epochMs, momentOf } from '../platform/postgres/epoch-ms.ts'
import type { Postgres, PostgresQueries } from '../platform/postgres/postgres.ts'
import { type Actor, recordChange } from './access/change-log.ts'
import { newSecret, secretHash, usernameOf } from './credential.ts'
import { type DeviceState, deviceStateOf } from './device.ts'
import { permits } from './lifecycle.ts'

/** It stands in an address and in the change log. */
export const CREDENTIAL_NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'
export const CREDENTIALS_PER_DEVICE_MAX = 10

export type DeviceCredential = Readonly<{
  name: string
  username: string
  createdAtMs: number
  /** Undefined: from the beginning, or without an end. */
  notBeforeMs: number | undefined
  notAfterMs: number | undefined
  /** To within a minute; undefined: never. */
  lastUsedAtMs: number | undefined
  /** Until when the secret before the last rotation works on; undefined: it does not. */
  formerUntilMs: number | undefined
}>
export type NewCredential = Readonly<{
  name: string
  notBeforeMs: number | undefined
  notAfterMs: number | undefined
}>
/** The only moment at which the secret exists in clear. */
export type ShownCredential = Readonly<{
  kind: 'shown'
  credential: DeviceCredential
  secret: string
}>
/** Why there is no credential, or no other secret. */
export type CredentialRefusal =
  | Readonly<{ kind: 'no_device' }>
  | Readonly<{ kind: 'no_credential' }>
  | Readonly<{ kind: 'exists' }>
  | Readonly<{ kind: 'too_many' }>
  /** A device in this state gets no secrets. */
  | Readonly<{ kind: 'not_allowed'; state: DeviceState }>

type Row = {
  name: string
  username: string
  created_ms: number
  before_ms: number | null
  after_ms: number | null
  used_ms: number | null
  former_ms: number | null
}

const COLUMNS = `name, username, ${epochMs('created_at')} AS created_ms,
  ${epochMs('not_before')} AS before_ms, ${epochMs('not_after')} AS after_ms,
  ${epochMs('last_used_at')} AS used_ms,
  CASE WHEN former_until > now() THEN ${epochMs('former_until')} END AS former_ms`

export class CredentialStore {
  readonly #database: Pick<Postgres, 'query' | 'transaction'>
  readonly #credentialKey: string

  constructor(database: Pick<Postgres, 'query' | 'transaction'>, credentialKey: string) {
    this.#database = database
    this.#credentialKey = credentialKey
  }

  /** All of them, in the order of their names: there are at most CREDENTIALS_PER_DEVICE_MAX. */
  async list(tenant: string, device: string): Promise<readonly DeviceCredential[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${COLUMNS} FROM device_credentials WHERE tenant = $1 AND device = $2 ORDER BY name`,
      [tenant, device],
    )
    return rows.map(credentialOf)
  }

  create(
    tenant: string,
    device: string,
    given: NewCredential,
    by: Actor,
  ): Promise<ShownCredential | CredentialRefusal> {
    const secret = newSecret()
    return this.#database.transaction(async (sql) => {
      const refusal = await deviceRefusal(sql, tenant, device)
      if (refusal !== undefined) return refusal
      const [count] = await sql.query<{ held: number }>(
        'SELECT count(*)::int AS held FROM device_credentials WHERE tenant = $1 AND device = $2',
        [tenant, device],
      )
      const isFull = (count?.held ?? 0) >= CREDENTIALS_PER_DEVICE_MAX
      const [row] = await sql.query<Row>(
        `INSERT INTO device_credentials
           (tenant, device, name, username, secret_hash, not_before, not_after)
         SELECT $1, $2, $3, $4, $5, ${momentOf('$6')}, ${momentOf('$7')}
         WHERE NOT $8 ON CONFLICT (tenant, device, name) DO NOTHING RETURNING ${COLUMNS}`,
        [
          ...[tenant, device, given.name, usernameOf(tenant, device), this.#hash(secret)],
          ...[given.notBeforeMs ?? null, given.notAfterMs ?? null, isFull],
        ],
      )
      if (row === undefined) return { kind: isFull ? 'too_many' : 'exists' }
      const after = settingsOf(row)
      const action = 'credential.create'
      await recordChange(sql, { tenant, by, action, subject: subjectOf(device, row.name), after })
      return { kind: 'shown', credential: credentialOf(row), secret }
    })
  }

  /** Gives the credential another secret; the one it had works on for so long. */
  rotate(
    tenant: string,
    device: string,
    to: Readonly<{ name: string; overlapSeconds: number }>,
    by: Actor,
  ): Promise<ShownCredential | CredentialRefusal> {
    const { name, overlapSeconds } = to
    const secret = newSecret()
    return this.#database.transaction(async (sql) => {
      const refusal = await deviceRefusal(sql, tenant, device)
      if (refusal !== undefined) return refusal
      const [row] = await sql.query<Row>(
        `UPDATE device_credentials SET secret_hash = $4,
           former_hash = CASE WHEN $5 > 0 THEN secret_hash END,
           former_until = CASE WHEN $5 > 0 THEN now() + $5 * interval '1 second' END
         WHERE tenant = $1 AND device = $2 AND name = $3 RETURNING ${COLUMNS}`,
        [tenant, device, name, this.#hash(secret), overlapSeconds],
      )
      if (row === undefined) return { kind: 'no_credential' }
      const [action, after] = ['credential.rotate', { overlapSeconds }]
      await recordChange(sql, { tenant, by, action, subject: subjectOf(device, name), after })
      return { kind: 'shown', credential: credentialOf(row), secret }
    })
  }

  /** Whatever the state of its device: taking away is always allowed. */
  revoke(
    tenant: string,
    device: string,
    name: string,
    by: Actor,
  ): Promise<Readonly<{ kind: 'revoked' }> | CredentialRefusal> {
    return this.#database.transaction(async (sql) => {
      if ((await heldState(sql, tenant, device)) === undefined) return { kind: 'no_device' }
      const [row] = await sql.query<Row>(
        `DELETE FROM device_credentials WHERE tenant = $1 AND device = $2 AND name = $3
         RETURNING ${COLUMNS}`,
        [tenant, device, name],
      )
      if (row === undefined) return { kind: 'no_credential' }
      const [action, before] = ['credential.revoke', settingsOf(row)]
      await recordChange(sql, { tenant, by, action, subject: subjectOf(device, name), before })
      return { kind: 'revoked' }
    })
  }

  #hash(secret: string): Buffer {
    return secretHash(this.#credentialKey, secret)
  }
}

/** The state of a device, whose row is held until the transaction ends. */
async function heldState(
  sql: PostgresQueries,
  tenant: string,
  device: string,
): Promise<DeviceState | undefined> {
  const [row] = await sql.query<{ state: string }>(
    'SELECT state FROM devices WHERE tenant = $1 AND id = $2 FOR UPDATE',
    [tenant, device],
  )
  return row === undefined ? undefined : deviceStateOf(row.state)
}

async function deviceRefusal(
  sql: PostgresQueries,
  tenant: string,
  device: string,
): Promise<CredentialRefusal | undefined> {
  const state = await heldState(sql, tenant, device)
  if (state === undefined) return { kind: 'no_device' }
  return permits(state, 'rotate') ? undefined : { kind: 'not_allowed', state }
}

const subjectOf = (device: string, name: string): string => `device/${device}/credential/${name}`

/** What people set, as the change log shows it. */
const settingsOf = (row: Row) => ({
  ...(row.before_ms === null ? {} : { notBefore: row.before_ms }),
  ...(row.after_ms === null ? {} : { notAfter: row.after_ms }),
})

const credentialOf = (row: Row): DeviceCredential => ({
  name: row.name,
  username: row.username,
  createdAtMs: row.created_ms,
  notBeforeMs: row.before_ms ?? undefined,
  notAfterMs: row.after_ms ?? undefined,
  lastUsedAtMs: row.used_ms ?? undefined,
  formerUntilMs: row.former_ms ?? undefined,
})
