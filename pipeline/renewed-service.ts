/**
 * A service that starts over within its process when it ends for a reason that a new one does not
 * meet again: as exact as a restart of the process, and no crash that a supervisor would count.
 * Renewals that follow each other wait longer and longer, and gather what caused them.
 */
import type { Clock } from '../platform/clock.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import { sleepUnless, type Timers } from './timers.ts'

export type RenewalPorts = Readonly<{
  make(): Service
  /** Whether a new service can do what this one failed at. */
  mayRenew(error: unknown): boolean
  /** Told before the old service is drained. */
  renewing(error: unknown, delayMs: number): void
  clock: Clock
  timers: Timers
}>

const DELAY_MS_MIN = 100
const DELAY_MS_MAX = 10_000
/** A service that ran for so long is no longer suspected. */
const CALM_MS = 60_000
const DRAIN_MS = 5_000

export class RenewedService implements Service {
  readonly name: string
  readonly failure: Promise<never>
  readonly #ports: RenewalPorts
  readonly #stop = new AbortController()
  #current: Service
  #running: Promise<void> = Promise.resolve()
  #drained: Promise<void> | undefined
  #fail: (error: unknown) => void = () => {}

  constructor(ports: RenewalPorts) {
    this.#ports = ports
    this.#current = ports.make()
    this.name = this.#current.name
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => undefined)
  }

  async start(): Promise<void> {
    await this.#current.start()
    this.#running = this.#watch().catch((error: unknown) => this.#fail(error))
  }

  notReady(): string | undefined {
    return this.#current.notReady?.()
  }

  stalled(): string | undefined {
    return this.#current.stalled?.()
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#current.drain(deadlineMs)
  }

  /** Ends with the wish to stop; rejects with what cannot be renewed. */
  async #watch(): Promise<void> {
    const { make, mayRenew, renewing, clock, timers } = this.#ports
    const { signal } = this.#stop
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve())
    })
    let delayMs = DELAY_MS_MIN
    while (!signal.aborted) {
      const sinceMs = clock.monotonicMs()
      const error = await Promise.race([
        stopped,
        this.#current.failure.catch((why: unknown) => why),
      ])
      if (signal.aborted) return
      if (!mayRenew(error)) throw error
      const isCalm = clock.monotonicMs() - sinceMs >= CALM_MS
      delayMs = isCalm ? DELAY_MS_MIN : Math.min(DELAY_MS_MAX, 2 * delayMs)
      renewing(error, delayMs)
      await this.#current.drain(DRAIN_MS)
      await sleepUnless(timers, delayMs, signal)
      if (signal.aborted) return
      this.#current = make()
      await this.#current.start()
    }
  }
}
