/**
 * When events were due, and when a reader first saw them: an event counts as seen when its device is
 * shown a time at or after it, since windows hold everything up to their newest sample.
 */
import { systemClock } from '../../platform/clock.ts'

/** The times of every device's events, in order. */
export class DueTimes {
  /** Events a second, and devices: each speaks once a second. */
  readonly rate: number
  readonly #timesMs: number[][]
  #countFromMs = Infinity

  constructor(rate: number) {
    this.rate = rate
    this.#timesMs = Array.from({ length: rate }, () => [])
  }

  note(device: number, atMs: number): void {
    this.#timesMs[device]?.push(atMs)
  }

  /** Events from now on are measured; earlier ones were for warming up. */
  startCounting(): void {
    this.#countFromMs = systemClock.nowMs()
  }

  isCounted(atMs: number): boolean {
    return atMs >= this.#countFromMs
  }

  of(device: number): readonly number[] {
    return this.#timesMs[device] ?? []
  }

  /** For a reader of all devices, or of some. */
  sightings(devices: readonly number[] = [...this.#timesMs.keys()]): Sightings {
    return new Sightings(this, devices)
  }
}

export class Sightings {
  /** Of every counted event that was seen. */
  readonly delaysMs: number[] = []
  readonly #due: DueTimes
  /** Watched devices: how many of its events were seen. */
  readonly #seen: Map<number, number>

  constructor(due: DueTimes, devices: readonly number[]) {
    this.#due = due
    this.#seen = new Map(devices.map((device) => [device, 0]))
  }

  /** Someone saw, at `nowMs`, this device's events up to `upToMs`. */
  saw(device: number, upToMs: number, nowMs: number): void {
    const before = this.#seen.get(device)
    if (before === undefined) return
    const timesMs = this.#due.of(device)
    let seen = before
    for (let ms = timesMs[seen]; ms !== undefined && ms <= upToMs; ms = timesMs[seen]) {
      if (this.#due.isCounted(ms)) this.delaysMs.push(nowMs - ms)
      seen += 1
    }
    this.#seen.set(device, seen)
  }

  /** Counted events that nobody saw yet. */
  get missing(): number {
    let missing = 0
    for (const [device, seen] of this.#seen) {
      const timesMs = this.#due.of(device)
      for (let at = timesMs.length - 1; at >= seen; at--) {
        if (this.#due.isCounted(timesMs[at] ?? 0)) missing += 1
      }
    }
    return missing
  }
}
