/**
 * Watches append promises for all connections. Messages that travel in one Kafka request share one
 * promise; it is watched once, and each connection that waits for it is told once.
 */
export type Durability = { durable: boolean; readonly waiting: DurabilityWaiter[] }

export interface DurabilityWaiter {
  /** Something this waiter waits for became durable. */
  onDurable(): void
  /** The append was given up because the process shuts down. */
  onLost(): void
}

export class DurabilityWatch {
  readonly #pending = new Map<Promise<void>, Durability>()

  /** The state of a promise; the waiter hears when it settles. */
  of(promise: Promise<void>, waiter: DurabilityWaiter): Durability {
    const durability = this.#pending.get(promise) ?? this.#watch(promise)
    // A connection hands in its messages one after the other: looking at the last is enough.
    if (durability.waiting.at(-1) !== waiter) durability.waiting.push(waiter)
    return durability
  }

  #watch(promise: Promise<void>): Durability {
    const durability: Durability = { durable: false, waiting: [] }
    this.#pending.set(promise, durability)
    promise.then(
      () => {
        this.#pending.delete(promise)
        durability.durable = true
        for (const waiter of durability.waiting) waiter.onDurable()
      },
      () => {
        this.#pending.delete(promise)
        for (const waiter of durability.waiting) waiter.onLost()
      },
    )
    return durability
  }
}
