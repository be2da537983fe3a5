/**
 * The newest value of every series, by event time, in bounded memory. Devices that have not spoken
 * for longest are forgotten first; ClickHouse still knows them.
 */
import type { LatestValue } from '../contract/resources.ts'
import { type DeviceEntry, RecentDevices } from './recent-devices.ts'

type NewestValue = Readonly<{ device: string; metric: string }> & LatestValue

type DeviceValues = {
  values: Map<string, NewestValue>
  /** Until when these values are taken for all there is: ClickHouse was asked not long ago. */
  wholeUntilMs: number
}

/** A pipeline that lags may still write what this process never read from the log. */
const WHOLE_MS = 30_000

type LatestBounds = Readonly<{ seriesMax: number; metricsPerDeviceMax: number }>

export class LatestValues {
  readonly #bounds: LatestBounds
  readonly #devices = new RecentDevices<DeviceValues>(() => ({
    values: new Map(),
    wholeUntilMs: 0,
  }))
  #series = 0

  constructor(bounds: LatestBounds) {
    this.#bounds = bounds
  }

  get seriesCount(): number {
    return this.#series
  }

  /** Keeps the value if it is newer than what is known; false when it is not. */
  offer(tenant: string, value: NewestValue): boolean {
    const entry = this.#touch(tenant, value.device)
    const { values } = entry.kept
    const known = values.get(value.metric)
    if (known !== undefined && known.at >= value.at) return false
    if (known === undefined) this.#makeRoom(entry)
    values.set(value.metric, value)
    return true
  }

  /** Whether ClickHouse need not be asked about the device. Times are of one monotonic clock. */
  isWhole(tenant: string, device: string, nowMs: number): boolean {
    return nowMs < (this.#devices.get(tenant, device)?.wholeUntilMs ?? 0)
  }

  /** Called after everything that ClickHouse knows of the device was offered. */
  markWhole(tenant: string, device: string, nowMs: number): void {
    this.#touch(tenant, device).kept.wholeUntilMs = nowMs + WHOLE_MS
  }

  /** The device was deleted. */
  forget(tenant: string, device: string): void {
    const kept = this.#devices.get(tenant, device)
    if (kept !== undefined) this.#drop({ tenant, device, kept })
  }

  valuesOf(tenant: string, device: string): Record<string, LatestValue> {
    const known = this.#devices.get(tenant, device)
    const values: [string, LatestValue][] = []
    for (const { metric, value, at, deviceAt } of known?.values.values() ?? []) {
      values.push([metric, deviceAt === undefined ? { value, at } : { value, at, deviceAt }])
    }
    // fromEntries defines own properties: a metric called __proto__ stays a metric.
    return Object.fromEntries(values)
  }

  /** Every value of a tenant, or of some of its devices. */
  *of(tenant: string, devices: ReadonlySet<string> | '*'): Generator<NewestValue> {
    for (const { values } of this.#devices.of(tenant, devices)) yield* values.values()
  }

  #touch(tenant: string, device: string): DeviceEntry<DeviceValues> {
    const isNew = this.#devices.get(tenant, device) === undefined
    const entry = this.#devices.touch(tenant, device)
    if (isNew) {
      // A device without values costs memory too: it counts as one series.
      this.#series += 1
      this.#forgetOldest(entry)
    }
    return entry
  }

  /** Before a new metric of `entry` is kept. */
  #makeRoom(entry: DeviceEntry<DeviceValues>): void {
    const { kept } = entry
    if (kept.values.size >= this.#bounds.metricsPerDeviceMax) {
      const oldest = kept.values.keys().next()
      if (oldest.done !== true) kept.values.delete(oldest.value)
      // One of its metrics is unknown again.
      kept.wholeUntilMs = 0
      return
    }
    if (kept.values.size > 0) this.#series += 1
    this.#forgetOldest(entry)
  }

  #forgetOldest(except: DeviceEntry<DeviceValues>): void {
    for (const entry of this.#devices.oldestFirst()) {
      if (this.#series <= this.#bounds.seriesMax || entry === except) return
      this.#drop(entry)
    }
  }

  #drop({ tenant, device, kept }: DeviceEntry<DeviceValues>): void {
    this.#devices.forget(tenant, device)
    this.#series -= Math.max(1, kept.values.size)
  }
}
