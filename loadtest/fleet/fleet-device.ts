/**
 * One device of a load test: makes messages and remembers nothing of the outside. Its stream of
 * messages follows from the seed and the times it is asked at. Every message carries `seq`, which
 * never repeats on a device, so that a lost unstamped message cannot hide behind an equal one.
 */
import { type Random, randomOf } from '../random.ts'
import type { LedgerSample, LedgerValue } from '../ledger.ts'

/** Shares are probabilities from 0 to 1. */
export type FleetMix = Readonly<{
  unstamped: number
  /** The very same stamped message once more. */
  duplicates: number
  /** A stamp up to 8 s back: still inside the lateness that windows wait for. */
  outOfOrder: number
  /** A stamp between 30 s and `lateMsMax` back: its windows have closed. */
  late: number
  lateMsMax: number
  /** Several samples in one message. */
  packed: number
}>

export type FleetMessage = Readonly<{ samples: readonly LedgerSample[]; payload: Buffer }>

const PACKED_SAMPLES = 5
const MODES = ['idle', 'heating', 'cooling'] as const

export class FleetDevice {
  readonly id: string
  readonly stamped: boolean
  readonly #random: Random
  readonly #mix: FleetMix
  readonly #usedTimes = new Set<number>()
  #seq = 0
  #temperature = 20
  #previous: FleetMessage | undefined

  constructor(options: Readonly<{ id: string; seed: string; mix: FleetMix }>) {
    this.id = options.id
    this.#mix = options.mix
    this.#random = randomOf(`${options.seed}/${options.id}`)
    this.stamped = !this.#random.chance(options.mix.unstamped)
  }

  next(nowMs: number): FleetMessage {
    const message = this.stamped ? this.#nextStamped(nowMs) : this.#nextUnstamped()
    this.#previous = message
    return message
  }

  #nextUnstamped(): FleetMessage {
    const values = this.#values()
    return { samples: [[null, values]], payload: Buffer.from(JSON.stringify(values)) }
  }

  #nextStamped(nowMs: number): FleetMessage {
    const { duplicates, packed } = this.#mix
    if (this.#previous !== undefined && this.#random.chance(duplicates)) return this.#previous
    const count = this.#random.chance(packed) ? PACKED_SAMPLES : 1
    const samples = Array.from({ length: count }, (): LedgerSample => [
      this.#stamp(nowMs),
      this.#values(),
    ])
    const entries = samples.map(([ts, values]) => ({ ts, values }))
    const body = count === 1 ? entries[0] : entries
    return { samples, payload: Buffer.from(JSON.stringify(body)) }
  }

  /** Never ahead of the clock, and never twice: a repeated time would be the same sample. */
  #stamp(nowMs: number): number {
    const { outOfOrder, late, lateMsMax } = this.#mix
    const roll = this.#random.next()
    let backMs = 0
    if (roll < late) backMs = this.#random.between(30_000, Math.max(30_001, lateMsMax))
    else if (roll < late + outOfOrder) backMs = this.#random.between(200, 8000)
    let ts = Math.floor(nowMs - backMs)
    while (this.#usedTimes.has(ts)) ts -= 1
    this.#usedTimes.add(ts)
    return ts
  }

  #values(): Record<string, LedgerValue> {
    this.#seq += 1
    this.#temperature += this.#random.normal() * 0.1
    return {
      seq: this.#seq,
      temperature: Math.round(this.#temperature * 100) / 100,
      vibration: Math.abs(this.#random.normal()) / 10,
      door_open: this.#random.chance(0.1),
      mode: MODES[this.#random.integer(MODES.length)] ?? 'idle',
    }
  }
}
