/** Lets work through at a rate, evenly, without saving up for a burst after a pause. */
import type { Clock } from '../../platform/clock.ts'
import { sleep, type Timers } from '../timers.ts'

/** Shorter waits are not worth a timer; they are made up for by the next one. */
const WAIT_MS_MIN = 10

export class Pacer {
  readonly #perSecond: number
  readonly #clock: Clock
  readonly #timers: Timers
  #nextMs = 0

  /** 0 per second: no limit. */
  constructor(perSecond: number, clock: Clock, timers: Timers) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#timers = timers
  }

  /** Resolves when so many pieces of work may begin. */
  async take(pieces: number): Promise<void> {
    if (this.#perSecond === 0) return
    const nowMs = this.#clock.monotonicMs()
    this.#nextMs = Math.max(this.#nextMs, nowMs - WAIT_MS_MIN)
    const waitMs = this.#nextMs - nowMs
    this.#nextMs += (pieces * 1000) / this.#perSecond
    if (waitMs >= WAIT_MS_MIN) await sleep(this.#timers, waitMs)
  }
}
