/**
 * Where the log and the sockets meet: keeps what is true now, and hands every new item to the
 * subscriptions that want it. Sockets are served in short ticks, so that items that come together
 * leave together.
 */
import type { Clock } from '../../platform/clock.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import { type FeedItem, type FeedStream, readingItem } from './feed-item.ts'
import type { LatestValues } from './latest-values.ts'
import type { RecentWindows } from './recent-windows.ts'
import type { Interest, Subscription } from './subscription.ts'

/** Whoever owns a subscription: told once per tick that it has something to send. */
export interface Reader {
  flush(): void
}

const TICK_MS = 25

type Entry = Readonly<{ subscription: Subscription; reader: Reader }>
/** The subscriptions of one tenant to one stream. */
type Audience = { all: Set<Entry>; byDevice: Map<string, Set<Entry>> }

type LiveHubParts = Readonly<{
  latest: LatestValues
  windows: RecentWindows
  metrics: Metrics
  clock: Clock
  snapshotItemsMax: number
}>

export class LiveHub {
  readonly #parts: LiveHubParts
  readonly #audiences = new Map<string, Audience>()
  readonly #due = new Set<Reader>()
  readonly #cursors = new Map<FeedStream, string>()
  #timer: NodeJS.Timeout | undefined
  #lastTickMs = -Infinity
  /** The oldest append time among the items of this tick, by stream. */
  readonly #oldestAppendMs = new Map<FeedStream, number>()

  constructor(parts: LiveHubParts) {
    this.#parts = parts
  }

  /** A sample of the log. Only a step forward in event time is news: history is in ClickHouse. */
  reading(tenant: string, item: FeedItem, appendedAtMs: number): void {
    if (!('at' in item.body)) return
    if (this.#parts.latest.offer(tenant, item.body)) {
      this.#publish('readings', tenant, { item, appendedAtMs })
    }
  }

  rollup(tenant: string, item: FeedItem, appendedAtMs: number): void {
    if (this.#parts.windows.offer(tenant, item)) {
      this.#publish('rollups', tenant, { item, appendedAtMs })
    }
  }

  /** Where in the log the next item of a stream comes from. */
  setCursor(stream: FeedStream, cursor: string): void {
    this.#cursors.set(stream, cursor)
  }

  cursor(stream: FeedStream): string {
    return this.#cursors.get(stream) ?? ''
  }

  join(tenant: string, subscription: Subscription, reader: Reader): () => void {
    const { stream, devices } = subscription.interest
    const key = `${stream}/${tenant}`
    const audience = this.#audiences.get(key) ?? { all: new Set(), byDevice: new Map() }
    this.#audiences.set(key, audience)
    const entry: Entry = { subscription, reader }
    if (devices === '*') audience.all.add(entry)
    else for (const device of devices) setOf(audience.byDevice, device).add(entry)
    return () => {
      audience.all.delete(entry)
      if (devices !== '*') for (const device of devices) removeFrom(audience, device, entry)
      const empty = audience.all.size === 0 && audience.byDevice.size === 0
      if (empty && this.#audiences.get(key) === audience) this.#audiences.delete(key)
    }
  }

  /** What is true now for an interest, at most `snapshotItemsMax` items. */
  snapshot(tenant: string, subscription: Subscription): readonly FeedItem[] {
    const items: FeedItem[] = []
    for (const item of this.#known(tenant, subscription.interest)) {
      if (!subscription.wants(item)) continue
      if (items.length === this.#parts.snapshotItemsMax) break
      items.push(item)
    }
    return items
  }

  *#known(tenant: string, { stream, devices }: Interest): Generator<FeedItem> {
    if (stream === 'rollups') {
      yield* this.#parts.windows.of(tenant, devices)
      return
    }
    for (const value of this.#parts.latest.of(tenant, devices)) yield readingItem(value)
  }

  /** Has the reader flush with the next tick: at once after a quiet time, else a tick later. */
  wake(reader: Reader): void {
    this.#due.add(reader)
    if (this.#timer !== undefined) return
    const sinceMs = this.#parts.clock.monotonicMs() - this.#lastTickMs
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, TICK_MS - sinceMs))
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#due.clear()
  }

  #publish(
    stream: FeedStream,
    tenant: string,
    news: Readonly<{ item: FeedItem; appendedAtMs: number }>,
  ): void {
    const audience = this.#audiences.get(`${stream}/${tenant}`)
    if (audience === undefined) return
    for (const entry of audience.all) this.#offer(entry, stream, news)
    const few = audience.byDevice.get(news.item.device)
    if (few !== undefined) for (const entry of few) this.#offer(entry, stream, news)
  }

  #offer(
    { subscription, reader }: Entry,
    stream: FeedStream,
    { item, appendedAtMs }: Readonly<{ item: FeedItem; appendedAtMs: number }>,
  ): void {
    if (!subscription.wants(item)) return
    if (subscription.offer(item)) this.#parts.metrics.add('weir_live_conflations_total')
    const oldest = this.#oldestAppendMs.get(stream) ?? Infinity
    if (appendedAtMs < oldest) this.#oldestAppendMs.set(stream, appendedAtMs)
    this.wake(reader)
  }

  #tick(): void {
    const { metrics, clock, latest } = this.#parts
    this.#timer = undefined
    this.#lastTickMs = clock.monotonicMs()
    const due = [...this.#due]
    this.#due.clear()
    for (const reader of due) reader.flush()
    for (const [stream, appendedAtMs] of this.#oldestAppendMs) {
      const delayMs = Math.max(0, clock.nowMs() - appendedAtMs)
      metrics.observe('weir_live_delay_seconds', delayMs / 1000, { stream })
    }
    this.#oldestAppendMs.clear()
    metrics.set('weir_live_series', latest.seriesCount)
  }
}

function setOf(byDevice: Map<string, Set<Entry>>, device: string): Set<Entry> {
  const known = byDevice.get(device) ?? new Set<Entry>()
  byDevice.set(device, known)
  return known
}

function removeFrom(audience: Audience, device: string, entry: Entry): void {
  const entries = audience.byDevice.get(device)
  entries?.delete(entry)
  if (entries?.size === 0) audience.byDevice.delete(device)
}
