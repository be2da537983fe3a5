/**
 * A service that cannot be made before somebody has answered a question, and a process that is up
 * meanwhile: whoever started it would take a start without an end for a defect.
 */
import { Failure } from '../platform/failure.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import { atMost, sleepUnless, type Timers } from './timers.ts'

export type AwaitedPorts<T> = Readonly<{
  name: string
  /** What may succeed later is asked again; anything else ends the service. */
  ask(): Promise<T>
  make(answer: T): Service
  /** Told of every attempt that failed and will be repeated. */
  waiting(error: Failure): void
  timers: Timers
}>

const DELAY_MS_MIN = 100
const DELAY_MS_MAX = 5_000

export class AwaitedService<T> implements Service {
  readonly name: string
  readonly failure: Promise<never>
  readonly #ports: AwaitedPorts<T>
  readonly #stop = new AbortController()
  #made: Service | undefined
  #trouble: string | undefined
  #starting: Promise<void> = Promise.resolve()
  #fail: (error: unknown) => void = () => {}

  constructor(ports: AwaitedPorts<T>) {
    this.name = ports.name
    this.#ports = ports
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => undefined)
  }

  /** Resolves when the service has started, or when the first answer was a failure that may pass. */
  async start(): Promise<void> {
    if (await this.#attempt()) return
    this.#starting = this.#keepAsking().catch((error: unknown) => this.#fail(error))
  }

  notReady(): string | undefined {
    return this.#trouble ?? this.#made?.notReady?.()
  }

  stalled(): string | undefined {
    return this.#made?.stalled?.()
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#stop.abort()
    const isStarting = this.#trouble !== undefined
    const leftMs = isStarting ? deadlineMs / 2 : deadlineMs
    if (isStarting) await atMost(this.#ports.timers, leftMs, this.#starting)
    await this.#made?.drain(leftMs)
  }

  async #keepAsking(): Promise<void> {
    const { signal } = this.#stop
    for (let delayMs = DELAY_MS_MIN; ; delayMs = Math.min(DELAY_MS_MAX, 2 * delayMs)) {
      await sleepUnless(this.#ports.timers, delayMs, signal)
      if (signal.aborted || (await this.#attempt())) return
    }
  }

  /** False: it may be repeated. */
  async #attempt(): Promise<boolean> {
    const { ask, make, waiting } = this.#ports
    let answer: T
    try {
      answer = await ask()
    } catch (error) {
      const passes =
        error instanceof Failure && error.retry === 'later' && error.code !== 'internal'
      if (!passes) throw error
      this.#trouble = error.message
      waiting(error)
      return false
    }
    if (this.#stop.signal.aborted) return true
    const made = make(answer)
    this.#made = made
    made.failure.catch((error: unknown) => this.#fail(error))
    await made.start()
    this.#trouble = undefined
    return true
  }
}
