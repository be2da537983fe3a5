/**
 * The device directory's ports on Postgres: credentials by hash, changes by NOTIFY. Starting does
 * not need Postgres to answer: connectors must come up, and serve whom they can, without it.
 */
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/observe/logger.ts'
import { epochMs } from '../platform/postgres/epoch-ms.ts'
import { Postgres } from '../platform/postgres/postgres.ts'
import { PostgresListener } from '../platform/postgres/postgres-listener.ts'
import type {
  CredentialRow,
  CredentialSource,
  DeviceChangeHandler,
  DeviceChanges,
} from './device-directory.ts'

/** The channel of migrations/postgres/0001_devices.sql; its payload is `tenant/device`. */
const CHANNEL = 'device_changed'
const APPLICATION_NAME = 'weir-device-directory'
/** A device waits for its CONNACK meanwhile; after that it hears "unavailable". */
const ANSWER_TIMEOUT_MS = 3000

/** A secret is that of a credential now, or the one before its last rotation, for a while. */
const FIND_BY_HASH = `
  SELECT c.hash AS "secretHash", c.username, c.tenant, c.device, d.state,
    d.clock_policy AS "clockPolicy",
    ${epochMs('c.not_before')} AS "validFromMs",
    ${epochMs('c.ends')} AS "validUntilMs"
  FROM (
    SELECT secret_hash AS hash, username, tenant, device, not_before, not_after AS ends
    FROM device_credentials WHERE secret_hash = ANY($1::bytea[])
    UNION ALL
    SELECT former_hash, username, tenant, device, not_before, LEAST(not_after, former_until)
    FROM device_credentials WHERE former_hash = ANY($1::bytea[])
  ) c JOIN devices d ON d.tenant = c.tenant AND d.id = c.device`

const NOTE_USES = `
  UPDATE device_credentials c SET last_used_at = to_timestamp(u.at_ms / 1000)
  FROM unnest($1::bytea[], $2::double precision[]) AS u (hash, at_ms)
  WHERE (c.secret_hash = u.hash OR c.former_hash = u.hash)
    AND (c.last_used_at IS NULL OR c.last_used_at < to_timestamp(u.at_ms / 1000))`

export class PostgresDevices implements CredentialSource, DeviceChanges {
  readonly name = 'postgres-devices'
  readonly failure: Promise<never>
  readonly #database: Postgres
  readonly #listener: PostgresListener
  #handler: DeviceChangeHandler | undefined

  constructor(options: Readonly<{ url: string; logger: Logger; clock: Clock }>) {
    this.#database = new Postgres({
      url: options.url,
      logger: options.logger,
      applicationName: APPLICATION_NAME,
      connectionsMax: 2,
      statementTimeoutMs: ANSWER_TIMEOUT_MS,
      connectTimeoutMs: ANSWER_TIMEOUT_MS,
    })
    this.#listener = new PostgresListener({
      ...options,
      applicationName: APPLICATION_NAME,
      channels: [CHANNEL],
      onNotification: (_channel, payload) => this.#onNotification(payload),
      onListening: () => this.#handler?.listening(),
    })
    this.failure = this.#listener.failure
  }

  find(secretHashes: readonly Buffer[]): Promise<readonly CredentialRow[]> {
    return this.#database.query<CredentialRow>(FIND_BY_HASH, [secretHashes])
  }

  /** When the credentials with these secrets were last used. Rejects when that cannot be noted. */
  async noteUses(uses: readonly Readonly<{ secretHash: Buffer; atMs: number }>[]): Promise<void> {
    const hashes = uses.map(({ secretHash }) => secretHash)
    await this.#database.query(NOTE_USES, [hashes, uses.map(({ atMs }) => atMs)])
  }

  subscribe(handler: DeviceChangeHandler): void {
    this.#handler = handler
  }

  start(): Promise<void> {
    return this.#listener.start()
  }

  async drain(deadlineMs: number): Promise<void> {
    await this.#listener.drain()
    await this.#database.drain(deadlineMs)
  }

  #onNotification(payload: string): void {
    const slash = payload.indexOf('/')
    if (slash > 0) this.#handler?.changed(payload.slice(0, slash), payload.slice(slash + 1))
  }
}
