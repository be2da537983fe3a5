/**
 * The newest windows of every series, by version, in bounded memory: the live feed's snapshot.
 * Older windows live in ClickHouse; corrections of them pass through without being kept. Only their
 * versions are remembered for a while: a pipeline that died had published ahead of its commit, and
 * its successor begins with lower versions of the same windows, which must not be shown as newer.
 */
import type { FeedItem } from './feed-item.ts'
import { type DeviceEntry, RecentDevices } from './recent-devices.ts'

/** Per metric and resolution: the open window, the one before, and one for late arrivals. */
const WINDOWS_KEPT = 3
/** Versions of windows no longer kept, in each of two generations. */
const PASSED_MAX = 50_000

type Kept = { start: number; item: FeedItem }
/** By metric and resolution. */
type Windows = Map<string, Kept[]>

export class RecentWindows {
  readonly #seriesMax: number
  readonly #devices = new RecentDevices<Windows>(() => new Map())
  /** The highest version of windows that gave way, by tenant and item key. */
  #passed = new Map<string, number>()
  #passedBefore = new Map<string, number>()
  readonly #passedMax: number
  #series = 0

  constructor(seriesMax: number, passedMax = PASSED_MAX) {
    this.#seriesMax = seriesMax
    this.#passedMax = passedMax
  }

  /** False for an update that is known already, or is older than what is known. */
  offer(tenant: string, item: FeedItem): boolean {
    if (!('start' in item.body)) return false
    const entry = this.#devices.touch(tenant, item.device)
    const key = `${item.metric}\0${item.body.resolution}`
    const kept = entry.kept.get(key) ?? []
    if (!entry.kept.has(key)) {
      entry.kept.set(key, kept)
      this.#series += 1
      this.#forgetOldest(entry)
    }
    const { start } = item.body
    const known = kept.find((one) => one.start === start)
    if (known !== undefined) {
      if (item.order <= known.item.order) return false
      known.item = item
      return true
    }
    const oldest = kept[0]
    const isPast = kept.length >= WINDOWS_KEPT && oldest !== undefined && start < oldest.start
    if (isPast) return this.#pass(tenant, item)
    kept.push({ start, item })
    kept.sort((a, b) => a.start - b.start)
    const gone = kept.length > WINDOWS_KEPT ? kept.shift() : undefined
    if (gone !== undefined) this.#pass(tenant, gone.item)
    return true
  }

  /** Notes the version of a window that is not kept; false when a higher one was noted. */
  #pass(tenant: string, { key, order }: FeedItem): boolean {
    const id = `${tenant}\0${key}`
    const known = this.#passed.get(id) ?? this.#passedBefore.get(id)
    if (known !== undefined && order <= known) return false
    if (this.#passed.size >= this.#passedMax) {
      this.#passedBefore = this.#passed
      this.#passed = new Map()
    }
    this.#passed.set(id, order)
    return true
  }

  *of(tenant: string, devices: ReadonlySet<string> | '*'): Generator<FeedItem> {
    for (const windows of this.#devices.of(tenant, devices)) {
      for (const kept of windows.values()) for (const { item } of kept) yield item
    }
  }

  #forgetOldest(except: DeviceEntry<Windows>): void {
    for (const entry of this.#devices.oldestFirst()) {
      if (this.#series <= this.#seriesMax || entry === except) return
      this.#devices.forget(entry.tenant, entry.device)
      this.#series -= entry.kept.size
    }
  }
}
