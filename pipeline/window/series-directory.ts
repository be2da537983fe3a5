/**
 * The series of a partition, interned, so that the hot path compares references and hashes a name
 * once. Idle ones beyond a bound are forgotten.
 */
import type { SeriesKind } from '../../schemas/window-update.ts'
import type { Series } from './series.ts'

/** The series of one device, by kind and metric. */
export type DeviceSeries = Record<SeriesKind, Map<string, Series>>

/** Interns series. Forgets idle ones beyond its bound: they only cost another series row. */
export class SeriesDirectory {
  readonly #tenants = new Map<string, Map<string, DeviceSeries>>()
  readonly #seriesMax: number
  #sweepAbove: number
  #size = 0

  constructor(seriesMax: number) {
    this.#seriesMax = seriesMax
    this.#sweepAbove = seriesMax
  }

  get size(): number {
    return this.#size
  }

  device(tenant: string, device: string): DeviceSeries {
    let devices = this.#tenants.get(tenant)
    if (devices === undefined) {
      devices = new Map()
      this.#tenants.set(tenant, devices)
    }
    const known = devices.get(device)
    if (known !== undefined) return known
    const fresh = { number: new Map(), boolean: new Map(), text: new Map() }
    devices.set(device, fresh)
    return fresh
  }

  add(device: DeviceSeries, series: Series): void {
    device[series.kind].set(series.metric, series)
    this.#size += 1
  }

  /** Called between records. A sweep leaves what is open, and the next waits for twice that. */
  trim(): void {
    if (this.#size <= this.#sweepAbove) return
    for (const [tenant, devices] of this.#tenants) {
      for (const [id, device] of devices) if (this.#isEmptyAfterSweep(device)) devices.delete(id)
      if (devices.size === 0) this.#tenants.delete(tenant)
    }
    this.#sweepAbove = Math.max(this.#seriesMax, this.#size * 2)
  }

  #isEmptyAfterSweep(device: DeviceSeries): boolean {
    for (const byMetric of Object.values(device)) {
      for (const [metric, series] of byMetric) {
        if (!series.idle) continue
        byMetric.delete(metric)
        this.#size -= 1
      }
    }
    return Object.values(device).every((byMetric) => byMetric.size === 0)
  }
}
