/**
 * What a process remembers of devices, so that memory can be bounded: who has not spoken for
 * longest is forgotten first. `Kept` is what is remembered of one of them.
 */
export type DeviceEntry<Kept> = Readonly<{ tenant: string; device: string; kept: Kept }>

export class RecentDevices<Kept> {
  readonly #fresh: () => Kept
  /** In the order of the last touch, oldest first: a Map keeps the order of insertion. */
  readonly #entries = new Map<string, DeviceEntry<Kept>>()
  readonly #byTenant = new Map<string, Map<string, DeviceEntry<Kept>>>()

  /** Who spoke last: what one record brings is not looked up for each of its metrics. */
  #newest: DeviceEntry<Kept> | undefined

  constructor(fresh: () => Kept) {
    this.#fresh = fresh
  }

  get(tenant: string, device: string): Kept | undefined {
    return this.#byTenant.get(tenant)?.get(device)?.kept
  }

  /** The entry of a device that speaks now; a fresh one where it is not remembered. */
  touch(tenant: string, device: string): DeviceEntry<Kept> {
    const newest = this.#newest
    if (newest?.device === device && newest.tenant === tenant) return newest
    const key = `${tenant}/${device}`
    const known = this.#entries.get(key)
    this.#entries.delete(key)
    const entry = known ?? { tenant, device, kept: this.#fresh() }
    this.#entries.set(key, entry)
    this.#newest = entry
    if (known === undefined) {
      const ofTenant = this.#byTenant.get(tenant) ?? new Map<string, DeviceEntry<Kept>>()
      this.#byTenant.set(tenant, ofTenant)
      ofTenant.set(device, entry)
    }
    return entry
  }

  forget(tenant: string, device: string): void {
    if (this.#newest?.device === device && this.#newest.tenant === tenant) this.#newest = undefined
    this.#entries.delete(`${tenant}/${device}`)
    const ofTenant = this.#byTenant.get(tenant)
    ofTenant?.delete(device)
    if (ofTenant?.size === 0) this.#byTenant.delete(tenant)
  }

  /** Everyone, who has been silent for longest first. An entry may be forgotten on the way. */
  oldestFirst(): Iterable<DeviceEntry<Kept>> {
    return this.#entries.values()
  }

  /** What is kept of all devices of a tenant, or of some. */
  *of(tenant: string, devices: ReadonlySet<string> | '*'): Generator<Kept> {
    const known = this.#byTenant.get(tenant)
    if (known === undefined) return
    if (devices === '*') {
      for (const { kept } of known.values()) yield kept
      return
    }
    for (const device of devices) {
      const entry = known.get(device)
      if (entry !== undefined) yield entry.kept
    }
  }
}
