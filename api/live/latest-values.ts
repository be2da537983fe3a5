/**
 * The newest value of every series, by event time, in bounded memory. Devices that have not spoken
 * for longest are forgotten first; ClickHouse still knows them.
 */
import type { LatestValue } from '../contract/resources.ts'

export type NewestValue = Readonly<{ device: string; metric: string }> & LatestValue

type DeviceValues = {
  tenant: string
  device: string
  values: Map<string, NewestValue>
  /** Until when these values are taken for all there is: ClickHouse was asked not long ago. */
  wholeUntilMs: number
}

/** A pipeline that lags may still write what this process never read from the log. */
const WHOLE_MS = 30_000

export type LatestBounds = Readonly<{ seriesMax: number; metricsPerDeviceMax: number }>

export class LatestValues {
  readonly #bounds: LatestBounds
  /** In the order of the last change, oldest first: a Map keeps the order of insertion. */
  readonly #devices = new Map<string, DeviceValues>()
  readonly #byTenant = new Map<string, Map<string, DeviceValues>>()
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
    const known = entry.values.get(value.metric)
    if (known !== undefined && known.at >= value.at) return false
    if (known === undefined) this.#makeRoom(entry)
    entry.values.set(value.metric, value)
    return true
  }

  /** Whether ClickHouse need not be asked about the device. Times are of one monotonic clock. */
  isWhole(tenant: string, device: string, nowMs: number): boolean {
    return nowMs < (this.#byTenant.get(tenant)?.get(device)?.wholeUntilMs ?? 0)
  }

  /** Called after everything that ClickHouse knows of the device was offered. */
  markWhole(tenant: string, device: string, nowMs: number): void {
    this.#touch(tenant, device).wholeUntilMs = nowMs + WHOLE_MS
  }

  /** The device was deleted. */
  forget(tenant: string, device: string): void {
    const entry = this.#byTenant.get(tenant)?.get(device)
    if (entry !== undefined) this.#drop(entry)
  }

  valuesOf(tenant: string, device: string): Record<string, LatestValue> {
    const entry = this.#byTenant.get(tenant)?.get(device)
    const values: [string, LatestValue][] = []
    for (const { metric, value, at } of entry?.values.values() ?? []) {
      values.push([metric, { value, at }])
    }
    // fromEntries defines own properties: a metric called __proto__ stays a metric.
    return Object.fromEntries(values)
  }

  /** Every value of a tenant, or of some of its devices. */
  *of(tenant: string, devices: ReadonlySet<string> | '*'): Generator<NewestValue> {
    const known = this.#byTenant.get(tenant)
    if (known === undefined) return
    if (devices === '*') {
      for (const entry of known.values()) yield* entry.values.values()
      return
    }
    for (const device of devices) yield* known.get(device)?.values.values() ?? []
  }

  #touch(tenant: string, device: string): DeviceValues {
    const key = `${tenant}/${device}`
    const known = this.#devices.get(key)
    if (known !== undefined) {
      this.#devices.delete(key)
      this.#devices.set(key, known)
      return known
    }
    const entry: DeviceValues = { tenant, device, values: new Map(), wholeUntilMs: 0 }
    this.#devices.set(key, entry)
    const ofTenant = this.#byTenant.get(tenant) ?? new Map<string, DeviceValues>()
    this.#byTenant.set(tenant, ofTenant)
    ofTenant.set(device, entry)
    // A device without values costs memory too: it counts as one series.
    this.#series += 1
    this.#forgetOldest(entry)
    return entry
  }

  /** Before a new metric of `entry` is kept. */
  #makeRoom(entry: DeviceValues): void {
    if (entry.values.size >= this.#bounds.metricsPerDeviceMax) {
      const oldest = entry.values.keys().next()
      if (oldest.done !== true) entry.values.delete(oldest.value)
      // One of its metrics is unknown again.
      entry.wholeUntilMs = 0
      return
    }
    if (entry.values.size > 0) this.#series += 1
    this.#forgetOldest(entry)
  }

  #forgetOldest(except: DeviceValues): void {
    for (const entry of this.#devices.values()) {
      if (this.#series <= this.#bounds.seriesMax || entry === except) return
      this.#drop(entry)
    }
  }

  #drop({ tenant, device, values }: DeviceValues): void {
    this.#devices.delete(`${tenant}/${device}`)
    this.#series -= Math.max(1, values.size)
    const ofTenant = this.#byTenant.get(tenant)
    ofTenant?.delete(device)
    if (ofTenant?.size === 0) this.#byTenant.delete(tenant)
  }
}
