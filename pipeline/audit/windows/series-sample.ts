/**
 * Which series have their windows recomputed: a share of all, by a hash of the series that turns
 * with the hour, so that every series gets its turn; of a small system the first few in any case.
 * For each, the event hours that its samples fell into.
 */
import { HOUR_MS } from '../hour-tally.ts'
import type { SeriesIdentity } from '../samples/slice.ts'

/** Steps of the share: a hundredth of a percent. */
export const SHARES = 10_000
/** A step that has no factor in common with SHARES: every series is reached. */
const TURN = 3_331

export type SampledSeries = Readonly<{
  series: SeriesIdentity
  /** The hour of arrival that made it a sample: findings are booked there. */
  bookedMs: number
  /** Starts of event hours. */
  hours: Set<number>
}>

export class SeriesSample {
  readonly #share: number
  readonly #seriesMin: number
  readonly #byKey = new Map<string, SampledSeries>()

  /** `share` in SHARES; `seriesMin` series are taken whatever their hash says. */
  constructor(share: number, seriesMin: number) {
    this.#share = share
    this.#seriesMin = seriesMin
  }

  note(series: SeriesIdentity, hourMs: number, arrivedMs: number): void {
    const key = `${arrivedMs} ${series.tenant}/${series.id}`
    const known = this.#byKey.get(key)
    if (known !== undefined) {
      known.hours.add(hourMs)
      return
    }
    if (!isSampled(series.id, arrivedMs, this.#share) && this.#byKey.size >= this.#seriesMin) return
    this.#byKey.set(key, { series, bookedMs: arrivedMs, hours: new Set([hourMs]) })
  }

  get all(): readonly SampledSeries[] {
    return [...this.#byKey.values()]
  }
}

function isSampled(seriesId: string, hourMs: number, share: number): boolean {
  // The low digits of the id are as good as random.
  const place = Number(seriesId.slice(-6)) + (hourMs / HOUR_MS) * TURN
  return place % SHARES < share
}
