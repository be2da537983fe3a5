/**
 * One series as a partition knows it, its name, its id and the windows it has open, and such a
 * window. The two lie together because each holds the other.
 */
import type { SeriesKind } from '../../schemas/window-update.ts'
import { Aggregate } from './aggregate.ts'
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

/**
 * A window that can still take samples. It keeps its (ts, value) pairs: a sample in time order is
 * folded at once, one out of order makes the next reader sort the pairs and fold them again. Of
 * two samples with one time the first wins, as the earliest offset does in the raw table.
 */
export class OpenWindow {
  readonly series: Series
  readonly resolutionMs: number
  readonly startMs: number
  /** Offset of the record that opened it: a successor must read from here to rebuild it. */
  readonly firstOffset: number
  /** Whether it changed since the last flush, and since the last live update. */
  unflushed = false
  unpublished = false

  #aggregate = new Aggregate()
  #tsMs: number[] = []
  #values: number[] = []
  #texts: string[] = []
  #inOrder = true
  /** The times as a set; built when the first sample comes out of order. */
  #seen: Set<number> | undefined

  constructor(series: Series, resolutionMs: number, startMs: number, firstOffset: number) {
    this.series = series
    this.resolutionMs = resolutionMs
    this.startMs = startMs
    this.firstOffset = firstOffset
  }

  /** False when a sample of this time is there already; that one stays. */
  insert(tsMs: number, value: number, text: string): boolean {
    const newest = this.#inOrder
      ? this.#tsMs.length === 0 || tsMs > this.#aggregate.lastTsMs
      : false
    if (!newest && this.#holds(tsMs)) return false
    this.#seen?.add(tsMs)
    this.#tsMs.push(tsMs)
    if (this.series.kind === 'text') this.#texts.push(text)
    else this.#values.push(value)
    if (newest) this.#fold(this.#tsMs.length - 1)
    else this.#inOrder = false
    return true
  }

  /** The state of the window. It changes with the next insert: copy what you keep. */
  aggregate(): Aggregate {
    if (!this.#inOrder) this.#refold()
    return this.#aggregate
  }

  #holds(tsMs: number): boolean {
    this.#seen ??= new Set(this.#tsMs)
    return this.#seen.has(tsMs)
  }

  #fold(index: number): void {
    const tsMs = this.#tsMs[index] ?? 0
    if (this.series.kind === 'text') this.#aggregate.addText(tsMs, this.#texts[index] ?? '')
    else this.#aggregate.addNumber(tsMs, this.#values[index] ?? 0)
  }

  #refold(): void {
    const [tsMs, values, texts] = [this.#tsMs, this.#values, this.#texts]
    const order = tsMs.map((_, index) => index).sort((a, b) => (tsMs[a] ?? 0) - (tsMs[b] ?? 0))
    this.#tsMs = order.map((index) => tsMs[index] ?? 0)
    if (this.series.kind === 'text') this.#texts = order.map((index) => texts[index] ?? '')
    else this.#values = order.map((index) => values[index] ?? 0)
    this.#aggregate = new Aggregate()
    for (let index = 0; index < order.length; index += 1) this.#fold(index)
    this.#inOrder = true
  }
}
