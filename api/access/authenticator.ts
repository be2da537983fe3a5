/**
 * Who asks? Keys are looked up once and remembered until the store says that they changed, so that
 * Postgres is not asked at every request and a revoked key ends at once. Whoever does not hear the
 * store (its connection is gone) remembers for a second only; when the store cannot be asked, what
 * it said last is believed for a minute. Misses are remembered too, in a bounded list, so that a
 * wrong key in a loop costs nobody a query.
 */
import { createHash } from 'node:crypto'
import type { KnownKey } from '../../devices/access/api-key-store.ts'
import { mayDo, type Permission, type Principal } from '../../devices/access/permission.ts'
import type { Clock } from '../../platform/clock.ts'
import { LIMITS } from '../limits.ts'
import { Refusal } from '../problem.ts'

const UNHEARD_MS = 1_000
const BELIEVED_MS = 60_000
/** A key that was just made elsewhere should not be refused for long. */
const REMEMBER_MISS_MS = 2_000
const REMEMBERED_MAX = 10_000
const SCHEME = /^Bearer +([\x21-\x7e]+)$/i

/** `atMs`: when it was last known to be so. */
type Answer = { readonly known: KnownKey | undefined; atMs: number }

export type AuthenticatorPorts = Readonly<{
  keys: Readonly<{ find(key: string): Promise<KnownKey | undefined> }>
  /** Whether changes of keys would be heard now. */
  hears: () => boolean
  /** Somebody used a key. */
  used: (principal: Principal) => void
  clock: Clock
}>

export class Authenticator {
  readonly #ports: AuthenticatorPorts
  /** By a digest: a memory dump of this process should not show keys. */
  readonly #remembered = new Map<string, Answer>()
  readonly #asking = new Map<string, Promise<KnownKey | undefined>>()
  /** Counts changes: an answer to a question from before one may be too old to keep. */
  #changes = 0

  constructor(ports: AuthenticatorPorts) {
    this.#ports = ports
  }

  /** Keys changed, or may have changed unheard: nothing is remembered any more. */
  forget(): void {
    this.#changes += 1
    this.#remembered.clear()
    this.#asking.clear()
  }

  /** Whose Authorization header this is, or a Refusal. */
  async ofHeader(header: string | undefined): Promise<Principal> {
    if (header === undefined || header === '') {
      throw new Refusal('unauthenticated', 'Send the header "Authorization: Bearer <key>".')
    }
    const key = SCHEME.exec(header)?.[1]
    const principal = key === undefined ? undefined : await this.of(key)
    if (principal === undefined) throw new Refusal('unauthenticated', 'The API key is not valid.')
    return principal
  }

  /** Whose key it is, if anybody's. Rejects when the store cannot say. */
  async of(key: string): Promise<Principal | undefined> {
    if (key === '' || key.length > LIMITS.apiKeyCharsMax) return undefined
    const digest = createHash('sha256').update(key).digest('base64')
    const known = this.#fresh(digest) ?? (await this.#ask(digest, key))
    if (known === 'nobody' || known === undefined) return undefined
    const { principal, expiresAtMs = Infinity } = known
    if (this.#ports.clock.nowMs() >= expiresAtMs) return undefined
    this.#ports.used(principal)
    return principal
  }

  #fresh(digest: string): KnownKey | 'nobody' | undefined {
    const answer = this.#remembered.get(digest)
    if (answer === undefined) return undefined
    const nowMs = this.#ports.clock.monotonicMs()
    const ageMs = nowMs - answer.atMs
    if (answer.known === undefined) return ageMs < REMEMBER_MISS_MS ? 'nobody' : undefined
    if (this.#ports.hears()) answer.atMs = nowMs
    else if (ageMs >= UNHEARD_MS) return undefined
    return answer.known
  }

  /** Simultaneous questions about one key are one question. */
  #ask(digest: string, key: string): Promise<KnownKey | undefined> {
    const asking = this.#asking.get(digest)
    if (asking !== undefined) return asking
    const changes = this.#changes
    const question = this.#ports.keys.find(key).then(
      (known) => {
        if (changes === this.#changes) this.#remember(digest, known)
        return known
      },
      (error: unknown) => this.#lastAnswer(digest, error),
    )
    this.#asking.set(digest, question)
    const done = (): void => {
      if (this.#asking.get(digest) === question) this.#asking.delete(digest)
    }
    question.then(done, done)
    return question
  }

  #lastAnswer(digest: string, error: unknown): KnownKey | undefined {
    const answer = this.#remembered.get(digest)
    const ageMs = this.#ports.clock.monotonicMs() - (answer?.atMs ?? -Infinity)
    if (answer?.known === undefined || ageMs > BELIEVED_MS) throw error
    return answer.known
  }

  #remember(digest: string, known: KnownKey | undefined): void {
    this.#remembered.delete(digest)
    this.#remembered.set(digest, { known, atMs: this.#ports.clock.monotonicMs() })
    if (this.#remembered.size <= REMEMBERED_MAX) return
    const oldest = this.#remembered.keys().next()
    if (oldest.done !== true) this.#remembered.delete(oldest.value)
  }
}

/** Refuses whoever may not do it. */
export function demand(principal: Principal, permission: Permission): void {
  if (mayDo(principal, permission)) return
  throw new Refusal('forbidden', `This key does not have the permission ${permission}.`)
}
