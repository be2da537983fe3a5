/**
 * LISTEN that survives its connection. Notifications sent while there was none are lost, so the
 * owner is told each time listening begins: what it remembers may be stale from before.
 */
import type { Clock } from '../clock.ts'
import type { Service } from '../lifecycle/service.ts'
import type { Logger } from '../observe/logger.ts'
import { openConnection, type PostgresConnection } from './postgres.ts'

export type PostgresListenerOptions = Readonly<{
  url: string
  applicationName: string
  channels: readonly string[]
  onNotification: (channel: string, payload: string) => void
  /** Listening has begun, at first or again: anything may have changed unheard before this. */
  onListening: () => void
  logger: Logger
  clock: Clock
}>

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000
/** A connection can die without a word; a small question in this rhythm finds out. */
const CHECK_MS = 10_000
const CHECK_TIMEOUT_MS = 5_000

export class PostgresListener implements Service {
  readonly name = 'postgres-listener'
  /** Never settles: a lost connection is opened again for as long as it takes. */
  readonly failure: Promise<never> = new Promise(() => {})
  readonly #options: PostgresListenerOptions
  readonly #stop = new AbortController()
  #connection: PostgresConnection | undefined
  #trouble = 'not started'
  #loop: Promise<void> | undefined

  constructor(options: PostgresListenerOptions) {
    this.#options = options
  }

  /** Resolves after the first attempt, successful or not: notReady() tells which. */
  async start(): Promise<void> {
    await this.#connect()
    this.#loop = this.#keepListening()
  }

  notReady(): string | undefined {
    return this.#connection === undefined
      ? `not listening to Postgres: ${this.#trouble}`
      : undefined
  }

  async drain(): Promise<void> {
    this.#stop.abort()
    await this.#connection?.close()
    await this.#loop
  }

  async #connect(): Promise<void> {
    const { url, applicationName, channels, onNotification, onListening, logger } = this.#options
    try {
      const connection = await openConnection(
        { url, applicationName, queryTimeoutMs: CHECK_TIMEOUT_MS },
        onNotification,
      )
      try {
        for (const channel of channels) {
          await connection.query(`LISTEN "${channel.replaceAll('"', '""')}"`)
        }
      } catch (error) {
        await connection.close()
        throw error
      }
      if (this.#stop.signal.aborted) return await connection.close()
      this.#connection = connection
      onListening()
    } catch (error) {
      this.#trouble = error instanceof Error ? error.message : String(error)
      logger.warn('cannot listen to Postgres', { error: this.#trouble })
    }
  }

  async #keepListening(): Promise<void> {
    const { signal } = this.#stop
    let retryMs = RETRY_MS_MIN
    while (!signal.aborted) {
      if (this.#connection === undefined) {
        await pause(retryMs * (0.5 + Math.random() / 2), signal)
        if (!signal.aborted) await this.#connect()
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)
        continue
      }
      retryMs = RETRY_MS_MIN
      await this.#untilLost(this.#connection)
    }
  }

  /** Resolves when the connection has ended, or does not answer any more and was closed. */
  async #untilLost(connection: PostgresConnection): Promise<void> {
    const { signal } = this.#stop
    const ended = connection.ended.then(() => 'ended' as const)
    while (!signal.aborted) {
      const answer = await Promise.race([ended, answers(connection, signal)])
      if (answer === 'ended' || answer === 'silent') break
    }
    this.#connection = undefined
    this.#trouble = 'the connection was lost'
    if (!signal.aborted) this.#options.logger.warn('lost the connection that listens to Postgres')
    await connection.close()
  }
}

async function answers(connection: PostgresConnection, signal: AbortSignal) {
  await pause(CHECK_MS, signal)
  if (signal.aborted) return 'alive'
  return connection.query('SELECT 1').then(
    () => 'alive' as const,
    () => 'silent' as const,
  )
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
  })
}
