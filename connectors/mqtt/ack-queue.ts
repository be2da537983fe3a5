/**
 * The acknowledgements one connection owes, in the order of its PUBLISH packets [MQTT-4.6.0-2].
 * Appends may become durable in any order; an acknowledgement leaves when its own append and all
 * before it are durable. Messages that share a Kafka request share one promise, watched once.
 */
import type { AckKind } from './packet-writer.ts'

export type Ack = Readonly<{ kind: AckKind; packetId: number; owedSinceMs: number }>

type Durability = { readonly promise: Promise<void> | undefined; durable: boolean }
type Owed = Readonly<{ ack: Ack; durability: Durability }>

export type AckQueueEvents = Readonly<{
  /** Something became durable: takeDurable() may have more to give. */
  durable(): void
  /** An append was given up because the process shuts down: nothing further will be owed. */
  lost(): void
}>

const NOTHING_TO_WAIT_FOR: Durability = { promise: undefined, durable: true }

export class AckQueue {
  readonly #events: AckQueueEvents
  #owed: Owed[] = []
  #newest: Durability = NOTHING_TO_WAIT_FOR

  constructor(events: AckQueueEvents) {
    this.#events = events
  }

  get size(): number {
    return this.#owed.length
  }

  /** Owes an acknowledgement once `durable` resolves; undefined: it is durable already. */
  owe(ack: Ack, durable: Promise<void> | undefined): void {
    const durability = durable === undefined ? NOTHING_TO_WAIT_FOR : this.watch(durable)
    this.#owed.push({ ack, durability })
    if (durability === NOTHING_TO_WAIT_FOR) this.#events.durable()
  }

  /** For what needs no acknowledgement: only its failure matters. */
  watch(promise: Promise<void>): Durability {
    if (this.#newest.promise === promise) return this.#newest
    const durability: Durability = { promise, durable: false }
    this.#newest = durability
    promise.then(
      () => {
        durability.durable = true
        this.#events.durable()
      },
      () => this.#events.lost(),
    )
    return durability
  }

  /** Removes and returns the acknowledgements that may leave now. */
  takeDurable(): readonly Ack[] {
    let count = 0
    while (this.#owed[count]?.durability.durable === true) count++
    if (count === 0) return []
    const leaving = count === this.#owed.length ? this.#owed : this.#owed.slice(0, count)
    this.#owed = count === this.#owed.length ? [] : this.#owed.slice(count)
    return leaving.map(({ ack }) => ack)
  }
}
