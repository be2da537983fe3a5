/**
 * The only file that imports the Postgres driver: a pool with limits, transactions, and single
 * connections for listeners. Connection trouble rejects with Failure('unavailable'); a refused
 * statement with the driver's error (postgres-error.ts reads it).
 *
 * int8 comes as a number: identities and counts stay far below 2^53. timestamptz comes as a Date.
 */
import pg from 'pg'
import type { Service } from '../lifecycle/service.ts'
import type { Logger } from '../observe/logger.ts'
import { asFailure } from './postgres-error.ts'

export type PostgresOptions = Readonly<{
  url: string
  /** Shown in pg_stat_activity. */
  applicationName: string
  logger: Logger
  connectionsMax?: number
  /** A statement that runs longer is cancelled by the server; default 10 s. */
  statementTimeoutMs?: number
  connectTimeoutMs?: number
}>

/** What can run statements: the pool itself, or one transaction. */
export interface PostgresQueries {
  /** `Row` is the caller's word for what its own statement returns; nothing checks it. */
  query<Row = unknown>(text: string, parameters?: readonly unknown[]): Promise<readonly Row[]>
}

const INT8 = pg.types.builtins.INT8
const INT8_AS_NUMBER: pg.CustomTypesConfig = {
  getTypeParser: (oid, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format),
}

/** Also usable without start(): connections open on demand. */
export class Postgres implements Service, PostgresQueries {
  readonly name = 'postgres'
  /** Never settles: a lost connection is replaced on the next use. */
  readonly failure: Promise<never> = new Promise(() => {})
  readonly #pool: pg.Pool
  #closed: Promise<void> | undefined

  constructor(options: PostgresOptions) {
    const statementTimeoutMs = options.statementTimeoutMs ?? 10_000
    this.#pool = new pg.Pool({
      ...connectionConfig(options.url, options.applicationName),
      max: options.connectionsMax ?? 10,
      connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
      statement_timeout: statementTimeoutMs,
      // The server may be gone without a word: then nobody there can cancel the statement.
      query_timeout: statementTimeoutMs + 5_000,
      idle_in_transaction_session_timeout: 60_000,
    })
    // Without a listener an idle connection that dies would end the process.
    this.#pool.on('error', (error) => {
      options.logger.warn('an idle Postgres connection was lost', { error })
    })
  }

  /** Resolves when a statement has been answered. */
  async start(): Promise<void> {
    await this.query('SELECT 1')
  }

  async query<Row>(text: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
    try {
      const result = await this.#pool.query(text, [...parameters])
      return result.rows
    } catch (error) {
      throw asFailure(error)
    }
  }

  /** Commits when `work` resolves; rolls back and rejects with its error when it rejects. */
  async transaction<T>(work: (queries: PostgresQueries) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw asFailure(error)
    })
    let broken: Error | undefined
    // Between statements nobody awaits the connection; its death is told by the next statement.
    const onError = (error: Error): void => {
      broken = error
    }
    client.on('error', onError)
    try {
      await client.query('BEGIN')
      const result = await work(queriesOn(client))
      await client.query('COMMIT')
      return result
    } catch (error) {
      await client.query('ROLLBACK').catch((rollbackError: Error) => {
        broken = rollbackError
      })
      throw asFailure(error)
    } finally {
      client.off('error', onError)
      client.release(broken)
    }
  }

  /** Closes the pool once connections in use are returned, or at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#pool.end()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs)
    })
    await Promise.race([this.#closed, late])
    clearTimeout(timer)
  }
}

const queriesOn = (client: pg.ClientBase): PostgresQueries => ({
  async query<Row>(text: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
    const result = await client.query(text, [...parameters])
    return result.rows
  },
})

/** One connection outside the pool, for LISTEN. */
export type PostgresConnection = PostgresQueries &
  Readonly<{
    /** Resolves when the connection has ended, for whatever reason. */
    ended: Promise<void>
    close(): Promise<void>
  }>

/** Opens one connection; notifications on channels it listens to go to `onNotification`. */
export async function openConnection(
  options: Readonly<{ url: string; applicationName: string; queryTimeoutMs: number }>,
  onNotification: (channel: string, payload: string) => void,
): Promise<PostgresConnection> {
  const client = new pg.Client({
    ...connectionConfig(options.url, options.applicationName),
    connectionTimeoutMillis: 5_000,
    query_timeout: options.queryTimeoutMs,
  })
  const ended = new Promise<void>((resolve) => {
    client.once('end', () => resolve())
    client.on('error', () => resolve())
  })
  client.on('notification', ({ channel, payload }) => onNotification(channel, payload ?? ''))
  try {
    await client.connect()
  } catch (error) {
    await client.end().catch(() => {})
    throw asFailure(error)
  }
  return { ...queriesOn(client), ended, close: () => client.end().catch(() => {}) }
}

function connectionConfig(url: string, applicationName: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: applicationName,
    keepAlive: true,
    types: INT8_AS_NUMBER,
  }
}
