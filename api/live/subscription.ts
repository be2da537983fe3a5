/**
 * What one subscription still has to send, in bounded memory.
 *
 *   stepping ── too many steps, or the socket is full ──▶ conflated ── all sent ──▶ stepping
 *       └────────── too many series wait ──▶ snapshot due ◀──────┘
 *
 * Stepping: every step, in order. Conflated: of each key the newest. Snapshot due: nothing is kept;
 * the next frame starts again from what is true then.
 */
import type { FeedItem, FeedStream } from './feed-item.ts'

export type Interest = Readonly<{
  id: string
  stream: FeedStream
  devices: ReadonlySet<string> | '*'
  metrics: ReadonlySet<string> | '*'
  /** Rollups only; undefined: both. */
  resolution: '10s' | '1m' | undefined
}>

type SubscriptionBounds = Readonly<{
  stepsMax: number
  /** Keys that may wait while conflated. */
  pendingMax: number
  /** Bytes that may wait in either form. */
  bytesMax: number
}>
type FrameBounds = Readonly<{ itemsMax: number; bytesMax: number }>
export type Frame = Readonly<{ type: 'snapshot' | 'update'; items: readonly FeedItem[] }>

export class Subscription {
  readonly interest: Interest
  readonly #bounds: SubscriptionBounds
  #steps: FeedItem[] = []
  readonly #newest = new Map<string, FeedItem>()
  #bytes = 0
  #snapshotDue = false

  constructor(interest: Interest, bounds: SubscriptionBounds) {
    this.interest = interest
    this.#bounds = bounds
  }

  wants(item: FeedItem): boolean {
    const { metrics, resolution } = this.interest
    if (metrics !== '*' && !metrics.has(item.metric)) return false
    if (resolution === undefined || !('resolution' in item.body)) return true
    return item.body.resolution === resolution
  }

  get hasWork(): boolean {
    return this.#snapshotDue || this.#newest.size > 0 || this.#steps.length > 0
  }

  /** The next frame is a snapshot. What waits until then is part of it, and need not be kept. */
  startAgain(): void {
    this.#snapshotDue = true
    this.#steps = []
    this.#newest.clear()
    this.#bytes = 0
  }

  /** True when this item made the subscription give up keeping every step. */
  offer(item: FeedItem): boolean {
    if (this.#snapshotDue) return false
    if (this.#newest.size > 0) {
      this.#keepNewest(item)
      return false
    }
    this.#steps.push(item)
    this.#bytes += item.bytes
    const { stepsMax, bytesMax } = this.#bounds
    const full = this.#steps.length > stepsMax || this.#bytes > bytesMax
    return full && this.conflate()
  }

  /** From here on only the newest of each key is kept, until all is sent. False: it was so. */
  conflate(): boolean {
    if (this.#steps.length === 0) return false
    const steps = this.#steps
    this.#steps = []
    this.#bytes = 0
    for (const item of steps) if (!this.#snapshotDue) this.#keepNewest(item)
    return true
  }

  /** The next frame to send; undefined when nothing waits. `snapshot` gives what is true now. */
  nextFrame(bounds: FrameBounds, snapshot: () => readonly FeedItem[]): Frame | undefined {
    if (this.#snapshotDue) return this.#snapshotFrame(bounds, snapshot())
    if (this.#newest.size > 0) {
      const items: FeedItem[] = []
      const count = itemsThatFit(this.#newest.values(), bounds)
      for (const item of this.#newest.values()) {
        if (items.length === count) break
        items.push(item)
        this.#newest.delete(item.key)
      }
      return this.#frame('update', items)
    }
    if (this.#steps.length === 0) return undefined
    const items = this.#steps.splice(0, itemsThatFit(this.#steps, bounds))
    return this.#frame('update', items)
  }

  /** A snapshot larger than a frame continues in updates. */
  #snapshotFrame(bounds: FrameBounds, items: readonly FeedItem[]): Frame {
    this.#snapshotDue = false
    const count = itemsThatFit(items, bounds)
    for (const item of items.slice(count)) {
      this.#newest.set(item.key, item)
      this.#bytes += item.bytes
    }
    return { type: 'snapshot', items: items.slice(0, count) }
  }

  #frame(type: Frame['type'], items: readonly FeedItem[]): Frame {
    for (const item of items) this.#bytes -= item.bytes
    return { type, items }
  }

  #keepNewest(item: FeedItem): void {
    const known = this.#newest.get(item.key)
    if (known !== undefined && known.order >= item.order) return
    this.#newest.set(item.key, item)
    this.#bytes += item.bytes - (known?.bytes ?? 0)
    const { pendingMax, bytesMax } = this.#bounds
    if (this.#newest.size > pendingMax || this.#bytes > bytesMax) this.startAgain()
  }
}

/** How many of the first items fit into a frame: at least one, however large it is. */
function itemsThatFit(items: Iterable<FeedItem>, { itemsMax, bytesMax }: FrameBounds): number {
  let count = 0
  let bytes = 0
  for (const item of items) {
    bytes += item.bytes
    if (count === itemsMax || (count > 0 && bytes > bytesMax)) break
    count += 1
  }
  return count
}
