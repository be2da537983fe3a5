/** The device directory's ports on Postgres: credentials by hash, changes by NOTIFY. */
import type { Clock } from '../platform/clock.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { PostgresQueries } from '../platform/postgres/postgres.ts'
import { PostgresListener } from '../platform/postgres/postgres-listener.ts'
import type {
  CredentialRow,
  CredentialSource,
  DeviceChangeHandler,
  DeviceChanges,
} from './device-directory.ts'

/** The channel of migrations/postgres/0001_devices.sql; its payload is `tenant/device`. */
const CHANNEL = 'device_changed'

const FIND_BY_HASH = `
  SELECT c.secret_hash AS "secretHash", c.username, c.tenant, c.device, d.state
  FROM device_credentials c JOIN devices d ON d.tenant = c.tenant AND d.id = c.device
  WHERE c.secret_hash = ANY($1::bytea[])`

export function postgresCredentials(database: PostgresQueries): CredentialSource {
  return {
    find: (secretHashes) => database.query<CredentialRow>(FIND_BY_HASH, [secretHashes]),
  }
}

export class PostgresDeviceChanges implements DeviceChanges, Service {
  readonly name = 'device-changes'
  readonly failure: Promise<never>
  readonly #listener: PostgresListener
  #handler: DeviceChangeHandler | undefined

  constructor(options: Readonly<{ url: string; logger: Logger; clock: Clock }>) {
    this.#listener = new PostgresListener({
      ...options,
      applicationName: 'weir-device-directory',
      channels: [CHANNEL],
      onNotification: (_channel, payload) => this.#onNotification(payload),
      onListening: () => this.#handler?.listening(),
    })
    this.failure = this.#listener.failure
  }

  subscribe(handler: DeviceChangeHandler): void {
    this.#handler = handler
  }

  start(): Promise<void> {
    return this.#listener.start()
  }

  drain(): Promise<void> {
    return this.#listener.drain()
  }

  #onNotification(payload: string): void {
    const slash = payload.indexOf('/')
    if (slash > 0) this.#handler?.changed(payload.slice(0, slash), payload.slice(slash + 1))
  }
}
