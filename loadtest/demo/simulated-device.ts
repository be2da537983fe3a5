/**
 * One device of the simulated fleet: what it measures and when it speaks. Everything follows from
 * the seed and the times it is asked at. Half of the devices (odd indexes) have no clock and send
 * unstamped payloads. Devices with a clock go out of reach now and then and flush what they
 * measured meanwhile in packed arrays; all of them send a burst now and then.
 */
import { type Random, randomOf } from '../random.ts'

export type Measured = Readonly<Record<string, number | boolean | string>>
export type Step = Readonly<{ payloads: readonly Buffer[]; nextAtMs: number }>

const DAY_MS = 86_400_000
const BURST_CHANCE = 0.004
const BURST_MESSAGES_MAX = 30
const OFFLINE_CHANCE = 0.003
const OFFLINE_MS = { from: 20_000, to: 120_000 }
/** Samples in one packed message of a flush: far below every payload limit. */
const FLUSH_SAMPLES_MAX = 50
const MODES = ['idle', 'heating', 'cooling', 'eco'] as const

export class SimulatedDevice {
  readonly id: string
  readonly name: string
  readonly stamped: boolean
  readonly #random: Random
  readonly #intervalMs: number
  readonly #phaseMs: number
  readonly #meanTemperature: number
  #drift = 0
  #door = false
  #mode: (typeof MODES)[number] = 'idle'
  #offlineUntilMs = 0
  #kept: string[] = []

  constructor(options: Readonly<{ seed: string; index: number }>) {
    const number = String(options.index + 1).padStart(2, '0')
    this.id = `sim-${number}`
    this.name = `Simulated device ${number}`
    this.stamped = options.index % 2 === 0
    this.#random = randomOf(`${options.seed}/device/${options.index}`)
    this.#intervalMs = Math.round(this.#random.between(1000, 5000))
    this.#phaseMs = Math.round(this.#random.between(0, DAY_MS / 8))
    this.#meanTemperature = this.#random.between(17, 24)
  }

  /** What to send now, and when to ask again. */
  step(nowMs: number): Step {
    const nextAtMs = nowMs + this.#intervalMs * this.#random.between(0.8, 1.2)
    if (nowMs < this.#offlineUntilMs) {
      this.#kept.push(this.#entry(nowMs))
      return { payloads: [], nextAtMs }
    }
    const flush = this.#flush()
    if (this.stamped && this.#random.chance(OFFLINE_CHANCE)) {
      this.#offlineUntilMs = nowMs + this.#random.between(OFFLINE_MS.from, OFFLINE_MS.to)
    }
    const messages = this.#random.chance(BURST_CHANCE)
      ? 2 + this.#random.integer(BURST_MESSAGES_MAX - 2)
      : 1
    const payloads = [...flush]
    for (let back = messages - 1; back >= 0; back--) {
      payloads.push(Buffer.from(this.#entry(nowMs - back * 20)))
    }
    return { payloads, nextAtMs }
  }

  /** Temperature swings with the day, humidity against it; the rest is noise and rare changes. */
  measure(atMs: number): Measured {
    const random = this.#random
    const day = Math.sin((2 * Math.PI * (atMs + this.#phaseMs)) / DAY_MS)
    this.#drift = this.#drift * 0.98 + random.normal() * 0.08
    if (random.chance(0.02)) this.#door = !this.#door
    if (random.chance(0.01)) this.#mode = MODES[random.integer(MODES.length)] ?? 'idle'
    const temperature = this.#meanTemperature + 3 * day + this.#drift - (this.#door ? 0.5 : 0)
    return {
      temperature: rounded(temperature, 100),
      humidity: rounded(50 - 8 * day + random.normal() * 0.7, 10),
      vibration: rounded(Math.abs(random.normal()) * (this.#mode === 'idle' ? 0.02 : 0.2), 10_000),
      door_open: this.#door,
      mode: this.#mode,
    }
  }

  #entry(atMs: number): string {
    const values = this.measure(atMs)
    return JSON.stringify(this.stamped ? { ts: Math.round(atMs), values } : values)
  }

  #flush(): Buffer[] {
    const payloads: Buffer[] = []
    for (let at = 0; at < this.#kept.length; at += FLUSH_SAMPLES_MAX) {
      payloads.push(Buffer.from(`[${this.#kept.slice(at, at + FLUSH_SAMPLES_MAX).join(',')}]`))
    }
    this.#kept = []
    return payloads
  }
}

const rounded = (value: number, steps: number): number => Math.round(value * steps) / steps
