/**
 * What the tables must hold, worked out from the log the obvious way and as it grows: which
 * samples count, which offset delivered each first, and what lies in each window. Shares with the
 * code under test only the arithmetic over one window.
 */
import { addSample } from '../../pipeline/testing/brute-force.ts'
import { FLAG_RESTAMPED, FLAG_UNSTAMPED } from '../../pipeline/window/raw-rows.ts'
import { CLOCK_SKEW_MS_MAX, type Series as Entry, type Telemetry } from '../../schemas/telemetry.ts'
import { emptyWindowState, type WindowState } from '../../schemas/window-merge.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'

export type Delivery = Readonly<{
  offset: number
  value: number
  text: string
  flags: number
  shiftMs: number
}>
export type TrueSample = {
  readonly tsMs: number
  /** Every delivery of this time, oldest first. */
  readonly deliveries: Delivery[]
}

/** Names of a series and all that the log says of it. */
export type TrueSeries = Readonly<{
  tenant: string
  device: string
  metric: string
  kind: SeriesKind
  partition: number
  samples: Map<number, TrueSample>
}>

/** A record and what must become of it. */
export type TrueRecord = Readonly<{
  partition: number
  offset: number
  appendMs: number
  value: Buffer | null
  /** Undefined: it cannot be decoded and must be in the dead letters, whole. */
  telemetry: Telemetry | undefined
  /** Indexes of samples that must be refused, so that the record is in the dead letters as well. */
  refused: readonly number[]
  samples: readonly Readonly<{ series: TrueSeries; tsMs: number }>[]
}>

export type Arrival = Readonly<{
  partition: number
  offset: number
  appendMs: number
  value: Buffer | null
  telemetry: Telemetry | undefined
}>

type FlatSample = { kind: SeriesKind; metric: string; tsMs: number; value: number; text: string }

export const windowStart = (tsMs: number, sizeMs: number): number =>
  Math.floor(tsMs / sizeMs) * sizeMs

export class Truth {
  readonly series = new Map<string, TrueSeries>()
  readonly records: TrueRecord[][]
  /** By partition: the newest believable event time so far. */
  readonly maxTsMs: number[]
  /** By partition: records up to here left the log before anybody had committed them. */
  readonly lostTo: number[]
  readonly #acceptedAgeMs: number

  constructor(partitions: number, acceptedAgeMs: number) {
    this.records = Array.from({ length: partitions }, () => [])
    this.maxTsMs = Array.from({ length: partitions }, () => 0)
    this.lostTo = Array.from({ length: partitions }, () => 0)
    this.#acceptedAgeMs = acceptedAgeMs
  }

  add(arrival: Arrival): void {
    const { partition, offset, telemetry } = arrival
    const refused: number[] = []
    const samples: { series: TrueSeries; tsMs: number }[] = []
    if (telemetry !== undefined) {
      const newestMs = this.#judge(telemetry, arrival, { refused, samples })
      this.maxTsMs[partition] = Math.max(this.maxTsMs[partition] ?? 0, newestMs)
    }
    const record = { ...arrival, offset, refused, samples }
    this.records[partition]?.push(record)
  }

  /** Whether every delivery of a sample is in records that the log lost unread. */
  mayBeMissing({ partition }: TrueSeries, { deliveries }: TrueSample): boolean {
    const lostTo = this.lostTo[partition] ?? 0
    if (this.#lost.length === 0) return false
    return deliveries.every(({ offset }) => offset < lostTo && this.#isLost(partition, offset))
  }

  /** The deliveries that may be the stored one: the first, and what follows lost ones. */
  candidates({ partition }: TrueSeries, { deliveries }: TrueSample): readonly Delivery[] {
    if (this.#lost.length === 0)
      return deliveries.length === 1 ? deliveries : deliveries.slice(0, 1)
    const sure = deliveries.findIndex(({ offset }) => !this.#isLost(partition, offset))
    return sure < 0 ? deliveries : deliveries.slice(0, sure + 1)
  }

  /** Records in [from, to) left the log, and no commit had ever passed them. */
  lose(partition: number, fromOffset: number, toOffset: number): void {
    if (fromOffset >= toOffset) return
    this.#lost.push({ partition, fromOffset, toOffset })
    this.lostTo[partition] = Math.max(this.lostTo[partition] ?? 0, toOffset)
  }

  readonly #lost: { partition: number; fromOffset: number; toOffset: number }[] = []

  #isLost(partition: number, offset: number): boolean {
    return this.#lost.some(
      (each) => each.partition === partition && offset >= each.fromOffset && offset < each.toOffset,
    )
  }

  isLost(partition: number, offset: number): boolean {
    return this.#lost.length > 0 && this.#isLost(partition, offset)
  }

  /** How many times in this window were delivered, and stay, at or before the offset. */
  countUpTo(series: TrueSeries, window: Window, offset: number): number {
    let count = 0
    const endMs = window.startMs + window.sizeMs
    for (const sample of series.samples.values()) {
      if (sample.tsMs < window.startMs || sample.tsMs >= endMs) continue
      // Deliveries are in the order of offsets: the first that was not lost is the one that stays.
      const sure =
        this.#lost.length === 0
          ? sample.deliveries[0]
          : sample.deliveries.find((each) => !this.#isLost(series.partition, each.offset))
      if (sure !== undefined && sure.offset <= offset) count += 1
    }
    return count
  }

  #judge(
    telemetry: Telemetry,
    { partition, offset, appendMs }: Arrival,
    found: { refused: number[]; samples: { series: TrueSeries; tsMs: number }[] },
  ): number {
    const { tenant, device, recvTs } = telemetry
    const clampMs = Math.min(recvTs, appendMs)
    const shiftMs = telemetry.shiftMs ?? 0
    const flags = (telemetry.stamped ? 0 : FLAG_UNSTAMPED) | (shiftMs === 0 ? 0 : FLAG_RESTAMPED)
    if (tenant === '' && device === '') return clampMs
    let newestMs = 0
    let index = 0
    for (const { kind, metric, tsMs, value, text } of flatSamples(telemetry)) {
      const counts =
        Number.isFinite(value) &&
        Number.isSafeInteger(tsMs) &&
        tsMs >= 0 &&
        tsMs <= clampMs + CLOCK_SKEW_MS_MAX &&
        appendMs - tsMs <= this.#acceptedAgeMs
      if (counts) {
        const series = this.#seriesOf({ tenant, device, metric, kind, partition })
        newestMs = Math.max(newestMs, Math.min(tsMs, clampMs))
        const sample = series.samples.get(tsMs) ?? { tsMs, deliveries: [] }
        series.samples.set(tsMs, sample)
        // Repeats inside a record: the first wins.
        if (sample.deliveries.at(-1)?.offset !== offset) {
          sample.deliveries.push({ offset, value, text, flags, shiftMs })
        }
        found.samples.push({ series, tsMs })
      } else found.refused.push(index)
      index += 1
    }
    return newestMs
  }

  #seriesOf(name: Omit<TrueSeries, 'samples'>): TrueSeries {
    const key = seriesKeyOf(name)
    let series = this.series.get(key)
    if (series === undefined) {
      series = { ...name, samples: new Map() }
      this.series.set(key, series)
    }
    return series
  }
}

export type Window = Readonly<{ startMs: number; sizeMs: number }>

export function countIn(series: TrueSeries, { startMs, sizeMs }: Window): number {
  let count = 0
  for (const tsMs of series.samples.keys()) {
    if (tsMs >= startMs && tsMs < startMs + sizeMs) count += 1
  }
  return count
}

export const seriesKeyOf = (
  name: Readonly<{ tenant: string; device: string; metric: string; kind: SeriesKind }>,
): string => `${name.tenant}/${name.device}/${name.metric}/${name.kind}`

/** Folds samples, each with the delivery that counts, in the order of time. */
export function folded(
  kind: SeriesKind,
  samples: readonly Readonly<{ tsMs: number; value: number; text: string }>[],
): WindowState {
  const state = emptyWindowState()
  for (const sample of samples.toSorted((a, b) => a.tsMs - b.tsMs)) {
    addSample(state, kind === 'text', sample)
  }
  return state
}

function* flatSamples({ numbers, booleans, strings }: Telemetry): Generator<FlatSample> {
  yield* flat(numbers, 'number', (v) => [v, ''])
  yield* flat(booleans, 'boolean', (v) => [v ? 1 : 0, ''])
  yield* flat(strings, 'text', (v) => [0, v])
}

function* flat<V>(
  entries: readonly Entry<V>[],
  kind: SeriesKind,
  read: (v: V) => [number, string],
): Generator<FlatSample> {
  for (const { metric, t0, dt, v } of entries) {
    for (const [k, each] of v.entries()) {
      const [value, text] = read(each)
      yield { kind, metric, tsMs: t0 + (dt[k] ?? NaN), value, text }
    }
  }
}
