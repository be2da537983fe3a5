/**
 * One series as a partition knows it: its name, its id, and the windows it has open. Series are
 * interned per partition, so that the hot path compares references and hashes a name once.
 */
import type { SeriesKind } from '../../schemas/window-update.ts'
import type { OpenWindow } from './open-window.ts'
import { type SeriesId, seriesIdOf } from './series-id.ts'
import { RESOLUTIONS_MS } from './tumbling-windows.ts'

export class Series {
  readonly tenant: string
  readonly device: string
  readonly metric: string
  readonly kind: SeriesKind
  readonly id: SeriesId
  /** Whether a snapshot took this series for the series table. */
  announced = false
  /** Open windows by start, oldest first, one list per resolution. */
  readonly open: readonly OpenWindow[][] = RESOLUTIONS_MS.map(() => [])

  constructor(tenant: string, device: string, metric: string, kind: SeriesKind) {
    this.tenant = tenant
    this.device = device
    this.metric = metric
    this.kind = kind
    this.id = seriesIdOf(device, metric, kind)
  }

  get idle(): boolean {
    return this.open.every((windows) => windows.length === 0)
  }
}

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
