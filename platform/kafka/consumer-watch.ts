/**
 * Looks at a consumer from beside: how far it lags behind the log, also while a partition rests
 * and nothing is fetched, and whether its fetch loop still moves.
 *
 * A loop that stands still while Kafka answers is a defect that only a new process cures; one that
 * waits for a Kafka that is down is doing its part.
 */
import type { Clock } from '../clock.ts'

const LOOK_MS = 5_000
const SILENCE_MS_MAX = 60_000

export class ConsumerWatch {
  readonly #clock: Clock
  readonly #look: () => Promise<void>
  #timer: NodeJS.Timeout | undefined
  #looking = false
  #movedMs: number

  /** `look` resolves when Kafka answered. */
  constructor(clock: Clock, look: () => Promise<void>) {
    this.#clock = clock
    this.#look = look
    this.#movedMs = clock.monotonicMs()
  }

  start(everyMs = LOOK_MS): void {
    this.moved()
    this.#timer = setInterval(() => void this.#lookOnce(), everyMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** The fetch loop began another round. */
  moved(): void {
    this.#movedMs = this.#clock.monotonicMs()
  }

  /** A sentence when the loop stood still for a minute of a Kafka that answers. */
  stalled(): string | undefined {
    const silentMs = this.#clock.monotonicMs() - this.#movedMs
    if (this.#timer === undefined || silentMs <= SILENCE_MS_MAX) return undefined
    return `nothing was fetched for ${Math.round(silentMs / 1_000)} s though Kafka answers`
  }

  async #lookOnce(): Promise<void> {
    // Still waiting for the last answer: Kafka is what stands still.
    if (this.#looking) return this.moved()
    this.#looking = true
    try {
      await this.#look()
    } catch {
      this.moved()
    } finally {
      this.#looking = false
    }
  }
}
