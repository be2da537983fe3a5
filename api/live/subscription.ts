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

export type SubscriptionBounds = Readonly<{ stepsMax: number; pendingMax: number }>
export type Frame = Readonly<{ type: 'snapshot' | 'update'; items: readonly FeedItem[] }>

export class Subscription {
  readonly interest: Interest
  readonly #bounds: SubscriptionBounds
  #steps: FeedItem[] = []
  readonly #newest = new Map<string, FeedItem>()
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
  }

  /** True when this item made the subscription give up keeping every step. */
  offer(item: FeedItem): boolean {
    if (this.#snapshotDue) return false
    if (this.#newest.size > 0) {
      this.#keepNewest(item)
      return false
    }
    this.#steps.push(item)
    return this.#steps.length > this.#bounds.stepsMax && this.conflate()
  }

  /** From here on only the newest of each key is kept, until all is sent. False: it was so. */
  conflate(): boolean {
    if (this.#steps.length === 0) return false
    const steps = this.#steps
    this.#steps = []
    for (const item of steps) this.#keepNewest(item)
    return true
  }

  /** The next frame to send; undefined when nothing waits. `snapshot` gives what is true now. */
  nextFrame(itemsMax: number, snapshot: () => readonly FeedItem[]): Frame | undefined {
    if (this.#snapshotDue) return this.#snapshotFrame(itemsMax, snapshot())
    if (this.#newest.size > 0) {
      const items: FeedItem[] = []
      for (const [key, item] of this.#newest) {
        if (items.length === itemsMax) break
        items.push(item)
        this.#newest.delete(key)
      }
      return { type: 'update', items }
    }
    if (this.#steps.length === 0) return undefined
    return { type: 'update', items: this.#steps.splice(0, itemsMax) }
  }

  /** A snapshot larger than a frame continues in updates. */
  #snapshotFrame(itemsMax: number, items: readonly FeedItem[]): Frame {
    this.#snapshotDue = false
    for (const item of items.slice(itemsMax)) this.#newest.set(item.key, item)
    return { type: 'snapshot', items: items.slice(0, itemsMax) }
  }

  #keepNewest(item: FeedItem): void {
    const known = this.#newest.get(item.key)
    if (known !== undefined && known.order >= item.order) return
    this.#newest.set(item.key, item)
    if (this.#newest.size > this.#bounds.pendingMax) this.startAgain()
  }
}
