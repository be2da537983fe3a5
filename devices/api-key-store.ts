/**
 * Tenants and the keys that programs and people show to the api. A key is stored as a keyed hash;
 * it has 256 random bits, so a slow hash would add nothing but work for an attacker to cause.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../platform/failure.ts'
import type { PostgresQueries } from '../platform/postgres/postgres.ts'
import { secretHash } from './credential.ts'
import { isTenantId } from './device.ts'

/** Marks the string as ours, so that secret scanners can recognise a leaked one. */
const API_KEY_PREFIX = 'weir_'
const API_KEY_BYTES = 32

export type ApiKeyOwner = Readonly<{ tenant: string; name: string }>

export const generateApiKey = (): string =>
  API_KEY_PREFIX + randomBytes(API_KEY_BYTES).toString('base64url')

export class ApiKeyStore {
  readonly #database: PostgresQueries
  readonly #credentialKey: string

  constructor(database: PostgresQueries, credentialKey: string) {
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
       ON CONFLICT (tenant, name) DO UPDATE SET key_hash = EXCLUDED.key_hash`,
      [tenant, name, secretHash(this.#credentialKey, key)],
    )
  }

  /** Whose key this is, if anybody's. */
  async ownerOf(key: string): Promise<ApiKeyOwner | undefined> {
    const [owner] = await this.#database.query<ApiKeyOwner>(
      'SELECT tenant, name FROM api_keys WHERE key_hash = $1',
      [secretHash(this.#credentialKey, key)],
    )
    return owner
  }

  /** Deletes the key of that name; false when the tenant has none. */
  async revoke(tenant: string, name: string): Promise<boolean> {
    const text = 'DELETE FROM api_keys WHERE tenant = $1 AND name = $2 RETURNING id'
    return (await this.#database.query(text, [tenant, name])).length > 0
  }
}
