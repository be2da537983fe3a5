/**
 * The acknowledgements one connection owes, in the order of its PUBLISH packets [MQTT-4.6.0-2].
 * Appends may become durable in any order; an acknowledgement leaves when its own append and all
 * before it are durable.
 */
import type { Durability } from './durability-watch.ts'
import { ACK_BYTES, type AckKind, writeAck } from './packet-writer.ts'

type Owed = Readonly<{
  kind: AckKind
  packetId: number
  /** Undefined: there is nothing to wait for. */
  durability: Durability | undefined
  owedSinceMs: number
}>

export type LeavingAcks = Readonly<{
  /** In the form in which they are sent, as one run. */
  bytes: Buffer
  count: number
  /** Since when the first of them was owed. */
  oldestMs: number
  /** The QoS 2 messages among them, which are now received. */
  receivedIds: readonly number[]
}>

const NO_IDS: readonly number[] = []

export class AckQueue {
  #owed: Owed[] = []

  get size(): number {
    return this.#owed.length
  }

  owe(owed: Owed): void {
    this.#owed.push(owed)
  }

  /** Removes the acknowledgements that may leave now; undefined when none may. */
  takeDurable(): LeavingAcks | undefined {
    const owed = this.#owed
    let count = 0
    while (count < owed.length && owed[count]?.durability?.durable !== false) count++
    const [first] = owed
    if (count === 0 || first === undefined) return undefined
    const leaving = count === owed.length ? owed : owed.slice(0, count)
    this.#owed = count === owed.length ? [] : owed.slice(count)

    const bytes = Buffer.allocUnsafe(count * ACK_BYTES)
    let receivedIds = NO_IDS
    let at = 0
    for (const { kind, packetId } of leaving) {
      writeAck(bytes, at, kind, packetId)
      at += ACK_BYTES
      if (kind === 'pubrec') receivedIds = [...receivedIds, packetId]
    }
    return { bytes, count, oldestMs: first.owedSinceMs, receivedIds }
  }
}
