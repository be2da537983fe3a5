/**
 * Who asks? Keys are looked up once and remembered for a short while, so that a revoked key stops
 * working within that while and Postgres is not asked at every request. Misses are remembered too,
 * in a bounded list, so that a wrong key in a loop costs nobody a query.
 */
import type { ApiKeyOwner } from '../devices/api-key-store.ts'
import { createHash } from 'node:crypto'
import type { Clock } from '../platform/clock.ts'
import { LIMITS } from './limits.ts'
import { Refusal } from './problem.ts'

const REMEMBER_MS = 10_000
/** A key that was just made should not be refused for long. */
const REMEMBER_MISS_MS = 2_000
const REMEMBERED_MAX = 10_000
const SCHEME = /^Bearer +([\x21-\x7e]+)$/i

type Remembered = Readonly<{ owner: ApiKeyOwner | undefined; untilMs: number }>

interface KeyOwners {
  ownerOf(key: string): Promise<ApiKeyOwner | undefined>
}

export class Authenticator {
  readonly #keys: KeyOwners
  readonly #clock: Clock
  /** By a digest: a memory dump of this process should not show keys. */
  readonly #remembered = new Map<string, Remembered>()
  readonly #asking = new Map<string, Promise<ApiKeyOwner | undefined>>()

  constructor(keys: KeyOwners, clock: Clock) {
    this.#keys = keys
    this.#clock = clock
  }

  /** The tenant of an Authorization header, or a Refusal. */
  async tenantOfHeader(header: string | undefined): Promise<string> {
    if (header === undefined || header === '') {
      throw new Refusal('unauthenticated', 'Send the header "Authorization: Bearer <key>".')
    }
    const key = SCHEME.exec(header)?.[1]
    const tenant = key === undefined ? undefined : await this.tenantOf(key)
    if (tenant === undefined) throw new Refusal('unauthenticated', 'The API key is not valid.')
    return tenant
  }

  /** The tenant of a key, if it is anybody's. */
  async tenantOf(key: string): Promise<string | undefined> {
    if (key === '' || key.length > LIMITS.apiKeyCharsMax) return undefined
    const digest = createHash('sha256').update(key).digest('base64')
    const known = this.#remembered.get(digest)
    if (known !== undefined && this.#clock.monotonicMs() < known.untilMs) return known.owner?.tenant
    const owner = await this.#ask(digest, key)
    return owner?.tenant
  }

  /** Simultaneous questions about one key are one question. */
  #ask(digest: string, key: string): Promise<ApiKeyOwner | undefined> {
    const asking = this.#asking.get(digest)
    if (asking !== undefined) return asking
    const answer = this.#keys
      .ownerOf(key)
      .then((owner) => this.#remember(digest, owner))
      .finally(() => this.#asking.delete(digest))
    this.#asking.set(digest, answer)
    return answer
  }

  #remember(digest: string, owner: ApiKeyOwner | undefined): ApiKeyOwner | undefined {
    this.#remembered.delete(digest)
    const forMs = owner === undefined ? REMEMBER_MISS_MS : REMEMBER_MS
    this.#remembered.set(digest, { owner, untilMs: this.#clock.monotonicMs() + forMs })
    if (this.#remembered.size > REMEMBERED_MAX) {
      const oldest = this.#remembered.keys().next()
      if (oldest.done !== true) this.#remembered.delete(oldest.value)
    }
    return owner
  }
}
