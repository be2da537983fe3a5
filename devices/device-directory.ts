/**
 * Who is this? The connectors' cached view of devices and their credentials.
 *
 * A known credential stays known until the store says that its device changed (NOTIFY), so devices
 * keep connecting while Postgres is down. When notifications may have been missed, every known
 * credential is read again, and is trusted meanwhile; one that is known to have changed is not.
 * The positive cache needs no bound of its own: only a valid secret makes an entry.
 *
 * A credential works within its time by our own clock, whether the store answers or not. One that
 * comes to its end is revoked then, and with it the connections that were made with it.
 */
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import { secretHash } from './credential.ts'
import type { ClockPolicy, DeviceState } from './device.ts'
import { permits } from './lifecycle.ts'

export type CredentialRow = Readonly<{
  secretHash: Buffer
  username: string
  tenant: string
  device: string
  state: DeviceState
  clockPolicy: ClockPolicy
  /** The secret works from then on, and until then; null: from the beginning, without an end. */
  validFromMs: number | null
  validUntilMs: number | null
}>

/** Where credentials are kept. */
export interface CredentialSource {
  /** The rows that exist among these hashes, in any order. Rejects when the store cannot answer. */
  find(secretHashes: readonly Buffer[]): Promise<readonly CredentialRow[]>
}

export type DeviceChangeHandler = Readonly<{
  changed(tenant: string, device: string): void
  /** Listening began, or began again after a gap in which changes may have been missed. */
  listening(): void
}>

/** Tells of changed devices from start() to drain(), reconnecting by itself. */
export interface DeviceChanges extends Service {
  /** Called once, before start(). */
  subscribe(handler: DeviceChangeHandler): void
}

export type Authentication =
  | Readonly<{
      kind: 'device'
      tenant: string
      device: string
      state: DeviceState
      clockPolicy: ClockPolicy
      /** Names the credential that was used, to recognise its revocation. Not a secret. */
      credential: string
    }>
  | Readonly<{ kind: 'refused' }>
  | Readonly<{ kind: 'unavailable' }>

const REFUSED: Authentication = { kind: 'refused' }
const UNAVAILABLE: Authentication = { kind: 'unavailable' }

type Known = { row: CredentialRow; changed: boolean }
type Lookup = {
  id: string
  hash: Buffer
  settle: (row: CredentialRow | undefined) => void
  fail: (cause: unknown) => void
}

export type DeviceDirectoryOptions = Readonly<{
  credentialKey: string
  source: CredentialSource
  changes: DeviceChanges
  clock: Clock
  logger: Logger
  /** Somebody was recognised by this credential. */
  used?: (credential: string) => void
  /** How long a refused credential is refused without asking again. Any change ends it early. */
  refusedForMs?: number
  refusedMax?: number
  retryMs?: number
}>

/** How late the end of a credential may be noticed. */
const SWEEP_MS = 500
/** Credentials read in one query. */
const BATCH_MAX = 1000

export class DeviceDirectory implements Service {
  readonly name = 'device-directory'
  readonly failure: Promise<never>
  readonly #options: Required<DeviceDirectoryOptions>
  readonly #known = new Map<string, Known>()
  readonly #idsByDevice = new Map<string, Set<string>>()
  /** Known credentials that come to an end → when. */
  readonly #ending = new Map<string, number>()
  #sweeper: NodeJS.Timeout | undefined
  /** Credential id → when asking again is allowed. Oldest first, so the oldest gives way. */
  readonly #refused = new Map<string, number>()
  readonly #revocations = new Set<(credential: string) => void>()
  readonly #updates = new Set<(row: CredentialRow) => void>()
  #lookups: Lookup[] = []
  readonly #unverified = new Set<string>()
  #reading = false
  /** Devices that changed while a query was under way: its answer about them may be too old. */
  #changedMeanwhile: Set<string> | 'any' = new Set()
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: DeviceDirectoryOptions) {
    this.#options = {
      ...{ refusedForMs: 5000, refusedMax: 10_000, retryMs: 500, used: () => undefined },
      ...options,
    }
    this.failure = options.changes.failure
    options.changes.subscribe({
      changed: (tenant, device) => this.#onChanged(`${tenant}/${device}`),
      listening: () => this.#onListening(),
    })
  }

  async start(): Promise<void> {
    this.#sweeper = setInterval(() => this.endExpired(), SWEEP_MS)
    this.#sweeper.unref()
    await this.#options.changes.start()
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    clearInterval(this.#sweeper)
    await this.#options.changes.drain(deadlineMs)
  }

  /** Revokes the credentials whose time is over. Happens by itself twice a second. */
  endExpired(): void {
    const nowMs = this.#options.clock.nowMs()
    for (const [id, endMs] of this.#ending) if (nowMs >= endMs) this.#revoke(id)
  }

  /** Calls back with the credential of every revocation; live connections made with it must end. */
  onRevoked(listener: (credential: string) => void): void {
    this.#revocations.add(listener)
  }

  /** Calls back with what was read again of a known credential's device, when it may be new. */
  onUpdated(listener: (row: CredentialRow) => void): void {
    this.#updates.add(listener)
  }

  /**
   * Who presents these credentials. With a password, the username must be that of the secret's
   * device; without one, the username itself is taken as the secret. Never rejects.
   */
  async authenticate(username: string, password: Uint8Array | undefined): Promise<Authentication> {
    const answer = await this.#recognise(username, password)
    if (answer.kind === 'device') this.#options.used(answer.credential)
    return answer
  }

  async #recognise(username: string, password: Uint8Array | undefined): Promise<Authentication> {
    const alone = password === undefined || password.length === 0
    const hash = secretHash(this.#options.credentialKey, alone ? username : password)
    const id = hash.toString('base64url')
    const claimed = alone ? undefined : username

    const known = this.#known.get(id)
    if (known !== undefined && !known.changed) {
      return this.#worksNow(known.row) ? answerFor(id, known.row, claimed) : REFUSED
    }
    if (this.#isRefused(id)) return REFUSED
    try {
      const row = await this.#read(id, hash)
      return row === undefined ? REFUSED : answerFor(id, row, claimed)
    } catch {
      return UNAVAILABLE
    }
  }

  #read(id: string, hash: Buffer): Promise<CredentialRow | undefined> {
    return new Promise((settle, fail) => {
      this.#lookups.push({ id, hash, settle, fail })
      void this.#readAll()
    })
  }

  /** One query at a time; whatever arrives meanwhile shares the next one. */
  async #readAll(): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    while (!this.#closed && (this.#lookups.length > 0 || this.#unverified.size > 0)) {
      const lookups = this.#lookups.splice(0, BATCH_MAX)
      const verify = [...this.#unverified].slice(0, BATCH_MAX - lookups.length)
      for (const id of verify) this.#unverified.delete(id)
      if (await this.#readBatch(lookups, verify)) continue
      for (const id of verify) this.#unverified.add(id)
      if (this.#lookups.length === 0) break
    }
    this.#reading = false
    if (this.#unverified.size > 0 && !this.#closed) this.#retryLater()
  }

  /** Answers false when the store could not be asked. */
  async #readBatch(lookups: readonly Lookup[], verify: readonly string[]): Promise<boolean> {
    this.#changedMeanwhile = new Set()
    const hashes = new Map(lookups.map(({ id, hash }) => [id, hash]))
    for (const id of verify) hashes.set(id, Buffer.from(id, 'base64url'))
    let rows: Map<string, CredentialRow>
    try {
      const found = await this.#options.source.find([...hashes.values()])
      rows = new Map(found.map((row) => [row.secretHash.toString('base64url'), row]))
    } catch (cause) {
      for (const lookup of lookups) lookup.fail(cause)
      this.#options.logger.warn('device credentials cannot be read', { cause: String(cause) })
      return false
    }
    for (const id of verify) this.#settle(id, rows.get(id))
    for (const lookup of lookups) {
      const row = rows.get(lookup.id)
      if (row !== undefined && this.#mayBeOld(row)) this.#lookups.push(lookup)
      else lookup.settle(this.#settle(lookup.id, row))
    }
    return true
  }

  #mayBeOld(row: CredentialRow): boolean {
    if (this.#changedMeanwhile === 'any') return true
    return this.#changedMeanwhile.has(`${row.tenant}/${row.device}`)
  }

  /** Remembers what the store said, and gives back the row if its device may connect. */
  #settle(id: string, row: CredentialRow | undefined): CredentialRow | undefined {
    if (row !== undefined && this.#mayBeOld(row)) {
      this.#unverified.add(id)
      return undefined
    }
    if (row !== undefined && permits(row.state, 'connect') && this.#worksNow(row)) {
      this.#remember(id, row)
      return row
    }
    if (this.#known.has(id)) this.#revoke(id)
    const unchanged = this.#changedMeanwhile !== 'any' && this.#changedMeanwhile.size === 0
    if (unchanged) this.#refuse(id)
    return undefined
  }

  #remember(id: string, row: CredentialRow): void {
    const wasKnown = this.#known.has(id)
    if (row.validUntilMs === null) this.#ending.delete(id)
    else this.#ending.set(id, row.validUntilMs)
    this.#known.set(id, { row, changed: false })
    if (wasKnown) for (const listener of this.#updates) listener(row)
    const key = `${row.tenant}/${row.device}`
    const ids = this.#idsByDevice.get(key)
    if (ids === undefined) this.#idsByDevice.set(key, new Set([id]))
    else ids.add(id)
  }

  #revoke(id: string): void {
    const known = this.#known.get(id)
    if (known === undefined) return
    this.#known.delete(id)
    this.#ending.delete(id)
    const key = `${known.row.tenant}/${known.row.device}`
    const ids = this.#idsByDevice.get(key)
    ids?.delete(id)
    if (ids?.size === 0) this.#idsByDevice.delete(key)
    for (const listener of this.#revocations) listener(id)
  }

  #worksNow({ validFromMs, validUntilMs }: CredentialRow): boolean {
    const nowMs = this.#options.clock.nowMs()
    return nowMs >= (validFromMs ?? -Infinity) && nowMs < (validUntilMs ?? Infinity)
  }

  #refuse(id: string): void {
    this.#refused.delete(id)
    this.#refused.set(id, this.#options.clock.monotonicMs() + this.#options.refusedForMs)
    if (this.#refused.size <= this.#options.refusedMax) return
    const oldest = this.#refused.keys().next()
    if (oldest.done !== true) this.#refused.delete(oldest.value)
  }

  #isRefused(id: string): boolean {
    const untilMs = this.#refused.get(id)
    return untilMs !== undefined && this.#options.clock.monotonicMs() < untilMs
  }

  #onChanged(key: string): void {
    this.#refused.clear()
    if (this.#changedMeanwhile !== 'any') this.#changedMeanwhile.add(key)
    for (const id of this.#idsByDevice.get(key) ?? []) {
      const known = this.#known.get(id)
      if (known !== undefined) known.changed = true
      this.#unverified.add(id)
    }
    void this.#readAll()
  }

  #onListening(): void {
    this.#refused.clear()
    this.#changedMeanwhile = 'any'
    for (const id of this.#known.keys()) this.#unverified.add(id)
    void this.#readAll()
  }

  #retryLater(): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#readAll(), this.#options.retryMs)
    this.#retry.unref()
  }
}

function answerFor(id: string, row: CredentialRow, claimed: string | undefined): Authentication {
  if (claimed !== undefined && claimed !== row.username) return REFUSED
  return {
    kind: 'device',
    tenant: row.tenant,
    device: row.device,
    state: row.state,
    clockPolicy: row.clockPolicy,
    credential: id,
  }
}
