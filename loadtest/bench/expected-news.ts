/**
 * What a subscriber of the live readings must be told of a fleet: each step of a device forward in
 * event time (api/contract/live.ts), and of every device the newest one, however slow the reader.
 * It takes the place of a ledger while the fleet plays.
 */
import type { LedgerSample } from '../ledger.ts'

export class ExpectedNews {
  readonly #newestMs = new Map<string, number>()
  readonly #missing = new Set<string>()
  #messages = 0
  #steps = 0
  #onComplete: () => void = () => {}

  get steps(): number {
    return this.#steps
  }

  get missing(): number {
    return this.#missing.size
  }

  /** Devices whose newest step was not told: for them the feed is wrong until they speak again. */
  get devicesBehind(): number {
    return [...this.#newestMs].filter(([device, tsMs]) => this.#missing.has(stepOf(device, tsMs)))
      .length
  }

  sent(device: string, samples: readonly LedgerSample[]): number {
    for (const [tsMs] of samples) {
      if (tsMs === null || tsMs <= (this.#newestMs.get(device) ?? -Infinity)) continue
      this.#newestMs.set(device, tsMs)
      this.#missing.add(stepOf(device, tsMs))
      this.#steps += 1
    }
    return (this.#messages += 1)
  }

  /** Says nothing about what is live: a reading may be seen before its acknowledgement. */
  acknowledged(): void {}

  /** True the first time that an expected step is told. */
  told(device: string, tsMs: number): boolean {
    const isNews = this.#missing.delete(stepOf(device, tsMs))
    if (this.#missing.size === 0) this.#onComplete()
    return isNews
  }

  /** Resolves when nothing is missing any more, or when the time is over. */
  async complete(limitMs: number): Promise<void> {
    if (this.#missing.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs)
      this.#onComplete = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

const stepOf = (device: string, tsMs: number): string => `${device} ${tsMs}`
