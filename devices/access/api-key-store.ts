/**
 * Tenants and the keys that programs and people show to the api. A key is stored as a keyed hash;
 * it has 256 random bits, so a slow hash would add nothing but work for an attacker to cause.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../../platform/failure.ts'
import { epochMs, momentOf } from '../../platform/postgres/epoch-ms.ts'
import type { Postgres } from '../../platform/postgres/postgres.ts'
import { secretHash } from '../credential.ts'
import { isTenantId } from '../device.ts'
import { type Actor, recordChange } from './change-log.ts'
import { type Grant, isPermission, isRole, type Permission, type Principal } from './permission.ts'

/** Marks the string as ours, so that secret scanners can recognise a leaked one. */
const API_KEY_PREFIX = 'weir_'
const API_KEY_BYTES = 32
/** A key stands in an address and in the change log. */
export const API_KEY_NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'
/** For how long a secret may work on beside the one that follows it: a week. */
export const OVERLAP_SECONDS_MAX = 604_800

export type ApiKey = Grant &
  Readonly<{
    name: string
    createdAtMs: number
    expiresAtMs: number | undefined
    lastUsedAtMs: number | undefined
    /** Until when the secret before the last rotation works on; undefined: it does not. */
    formerUntilMs: number | undefined
  }>
/** The only moment at which the secret exists in clear. */
export type ShownKey = Readonly<{ key: ApiKey; secret: string }>
export type NewApiKey = Grant & Readonly<{ name: string; expiresAtMs: number | undefined }>
/** Whose secret it is, and until when. */
export type KnownKey = Readonly<{ principal: Principal; expiresAtMs: number | undefined }>

type KeyRow = {
  tenant: string
  name: string
  role: string
  scopes: readonly string[] | null
  created_ms: number
  expires_ms: number | null
  used_ms: number | null
  former_ms: number | null
}

const COLUMNS = `tenant, name, role, scopes, ${epochMs('created_at')} AS created_ms,
  ${epochMs('expires_at')} AS expires_ms, ${epochMs('last_used_at')} AS used_ms,
  CASE WHEN former_until > now() THEN ${epochMs('former_until')} END AS former_ms`

export const generateApiKey = (): string =>
  API_KEY_PREFIX + randomBytes(API_KEY_BYTES).toString('base64url')

export class ApiKeyStore {
  readonly #database: Pick<Postgres, 'query' | 'transaction'>
  readonly #credentialKey: string

  constructor(database: Pick<Postgres, 'query' | 'transaction'>, credentialKey: string) {
    this.#database = database
    this.#credentialKey = credentialKey
  }

  /** Creates the tenant unless it is there. */
  async ensureTenant(id: string, name: string): Promise<void> {
    if (!isTenantId(id)) throw new Failure('request_invalid', `"${id}" cannot be a tenant's id`)
    await this.#database.query(
      'INSERT INTO tenants (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING',
      [id, name],
    )
  }

  /** Makes `key` the tenant's key of that name; the key it had under that name stops working. */
  async ensureApiKey(tenant: string, name: string, key: string): Promise<void> {
    await this.#database.query(
      `INSERT INTO api_keys (tenant, name, key_hash) VALUES ($1, $2, $3)
       ON CONFLICT (tenant, name) DO UPDATE SET key_hash = EXCLUDED.key_hash
       WHERE api_keys.key_hash <> EXCLUDED.key_hash`,
      [tenant, name, this.#hash(key)],
    )
  }

  /** Whose key this is, if anybody's. */
  async find(key: string): Promise<KnownKey | undefined> {
    const [row] = await this.#database.query<KeyRow & { by_former: boolean }>(
      `SELECT ${COLUMNS}, key_hash <> $1 AS by_former FROM api_keys
       WHERE (key_hash = $1 OR (former_hash = $1 AND former_until > now()))
         AND (expires_at IS NULL OR expires_at > now())`,
      [this.#hash(key)],
    )
    if (row === undefined) return undefined
    const { expiresAtMs, formerUntilMs, role, scopes } = apiKeyOf(row)
    const endsMs = row.by_former ? [expiresAtMs, formerUntilMs] : [expiresAtMs]
    return {
      principal: { tenant: row.tenant, name: `key:${row.name}`, role, scopes },
      expiresAtMs: earliest(endsMs),
    }
  }

  /** `exists` when the tenant has a key of that name. */
  async create(tenant: string, given: NewApiKey, by: Actor): Promise<ShownKey | 'exists'> {
    const { name, role, scopes, expiresAtMs } = given
    const secret = generateApiKey()
    return this.#database.transaction(async (sql) => {
      const [row] = await sql.query<KeyRow>(
        `INSERT INTO api_keys (tenant, name, key_hash, role, scopes, expires_at)
         VALUES ($1, $2, $3, $4, $5, ${momentOf('$6')})
         ON CONFLICT (tenant, name) DO NOTHING RETURNING ${COLUMNS}`,
        [tenant, name, this.#hash(secret), role, scopes ?? null, expiresAtMs ?? null],
      )
      if (row === undefined) return 'exists'
      const after = { role, scopes, expiresAtMs }
      await recordChange(sql, { tenant, by, action: 'key.create', subject: subjectOf(name), after })
      return { key: apiKeyOf(row), secret }
    })
  }

  /** Keys in the order of their names, after that one. */
  async list(tenant: string, afterName: string, limit: number): Promise<readonly ApiKey[]> {
    const rows = await this.#database.query<KeyRow>(
      `SELECT ${COLUMNS} FROM api_keys WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3`,
      [tenant, afterName, limit],
    )
    return rows.map(apiKeyOf)
  }

  async get(tenant: string, name: string): Promise<ApiKey | undefined> {
    const text = `SELECT ${COLUMNS} FROM api_keys WHERE tenant = $1 AND name = $2`
    const [row] = await this.#database.query<KeyRow>(text, [tenant, name])
    return row === undefined ? undefined : apiKeyOf(row)
  }

  /** Gives the key another secret; the one it had works on for so long. */
  async rotate(
    tenant: string,
    name: string,
    overlapSeconds: number,
    by: Actor,
  ): Promise<ShownKey | undefined> {
    const secret = generateApiKey()
    return this.#database.transaction(async (sql) => {
      const [row] = await sql.query<KeyRow>(
        `UPDATE api_keys SET key_hash = $3,
           former_hash = CASE WHEN $4 > 0 THEN key_hash END,
           former_until = CASE WHEN $4 > 0 THEN now() + $4 * interval '1 second' END
         WHERE tenant = $1 AND name = $2 RETURNING ${COLUMNS}`,
        [tenant, name, this.#hash(secret), overlapSeconds],
      )
      if (row === undefined) return undefined
      const after = { overlapSeconds }
      await recordChange(sql, { tenant, by, action: 'key.rotate', subject: subjectOf(name), after })
      return { key: apiKeyOf(row), secret }
    })
  }

  /** Deletes the key of that name; false when the tenant has none. */
  async revoke(tenant: string, name: string, by: Actor): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      const text = `DELETE FROM api_keys WHERE tenant = $1 AND name = $2 RETURNING ${COLUMNS}`
      const [row] = await sql.query<KeyRow>(text, [tenant, name])
      if (row === undefined) return false
      const { role, scopes, expiresAtMs } = apiKeyOf(row)
      const before = { role, scopes, expiresAtMs }
      await recordChange(sql, {
        ...{ tenant, by, action: 'key.revoke', subject: subjectOf(name), before },
      })
      return true
    })
  }

  #hash(key: string): Buffer {
    return secretHash(this.#credentialKey, key)
  }
}

const subjectOf = (name: string): string => `key/${name}`

const earliest = (times: readonly (number | undefined)[]): number | undefined => {
  const given = times.filter((time) => time !== undefined)
  return given.length === 0 ? undefined : Math.min(...given)
}

function apiKeyOf(row: KeyRow): ApiKey {
  if (!isRole(row.role)) throw new Failure('internal', `unknown role ${row.role}`)
  return {
    name: row.name,
    role: row.role,
    scopes: row.scopes === null ? undefined : row.scopes.filter(isKnown),
    createdAtMs: row.created_ms,
    expiresAtMs: row.expires_ms ?? undefined,
    lastUsedAtMs: row.used_ms ?? undefined,
    formerUntilMs: row.former_ms ?? undefined,
  }
}

/** A scope that a newer release gave out permits nothing here. */
const isKnown = (scope: string): scope is Permission => isPermission(scope)
