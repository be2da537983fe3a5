/**
 * The open windows of a partition, shelved by resolution and start, and the rows that wait to be
 * flushed or published. All windows of one start close together, and each start's first window
 * has its lowest offset, because windows are opened in offset order.
 */
import type { RollupRow } from './rollup-row.ts'
import { OpenWindow, type Series } from './series.ts'
import { RESOLUTIONS_MS, windowStartMs } from './tumbling-windows.ts'

/** Closed windows kept for live readers while nothing can be published. The tables have them all. */
const UNPUBLISHED_ROWS_MAX = 50_000

export class WindowShelf {
  readonly resolutionCount = RESOLUTIONS_MS.length
  readonly #partition: number
  readonly #byStart = RESOLUTIONS_MS.map(() => new Map<number, OpenWindow[]>())
  /** The earliest end of an open window: nothing closes before it. */
  #earliestEndMs = Infinity
  #openCount = 0
  #closed: RollupRow[] = []
  #unflushed: OpenWindow[] = []
  #closedUnpublished: RollupRow[] = []
  #unpublished: OpenWindow[] = []

  constructor(partition: number) {
    this.#partition = partition
  }

  get openCount(): number {
    return this.#openCount
  }

  get closedCount(): number {
    return this.#closed.length
  }

  /** The lowest offset that an open window needs; Infinity when none is open. */
  get firstOffset(): number {
    let lowest = Infinity
    for (const starts of this.#byStart) {
      for (const windows of starts.values()) {
        lowest = Math.min(lowest, windows[0]?.firstOffset ?? Infinity)
      }
    }
    return lowest
  }

  indexOf(resolutionMs: number): number {
    return RESOLUTIONS_MS.findIndex((size) => size === resolutionMs)
  }

  startMs(resolution: number, tsMs: number): number {
    return windowStartMs(tsMs, RESOLUTIONS_MS[resolution] ?? NaN)
  }

  endMs(resolution: number, startMs: number): number {
    return startMs + (RESOLUTIONS_MS[resolution] ?? NaN)
  }

  /** The open window of this series and start; opens it if need be. */
  windowAt(series: Series, resolution: number, startMs: number, offset: number): OpenWindow {
    const open = series.open[resolution] ?? []
    let at = open.length
    while (at > 0 && (open[at - 1]?.startMs ?? -Infinity) > startMs) at -= 1
    const candidate = open[at - 1]
    if (candidate !== undefined && candidate.startMs === startMs) return candidate
    const size = RESOLUTIONS_MS[resolution] ?? NaN
    const window = new OpenWindow(series, size, startMs, offset)
    if (at === open.length) open.push(window)
    else open.splice(at, 0, window)
    this.#shelve(resolution, window)
    return window
  }

  /** Notes that a window's content is ahead of the tables and of live readers. */
  changed(window: OpenWindow): void {
    if (!window.unflushed) {
      window.unflushed = true
      this.#unflushed.push(window)
    }
    if (!window.unpublished) {
      window.unpublished = true
      this.#unpublished.push(window)
    }
  }

  /** Closes every window that ends at or before C; their rows are final at this version. */
  close(closedToMs: number, version: number): void {
    if (closedToMs < this.#earliestEndMs) return
    this.#earliestEndMs = Infinity
    for (const [resolution, starts] of this.#byStart.entries()) {
      for (const [startMs, windows] of starts) {
        const endMs = this.endMs(resolution, startMs)
        if (endMs > closedToMs) {
          this.#earliestEndMs = Math.min(this.#earliestEndMs, endMs)
          continue
        }
        starts.delete(startMs)
        for (const window of windows) this.#closeOne(window, resolution, version)
      }
    }
  }

  /** Forgets every open window, for a caller that will have them recomputed. */
  removeAll(): OpenWindow[] {
    const all = this.#byStart.flatMap((starts) => [...starts.values()].flat())
    for (const window of all) this.#detach(window, this.indexOf(window.resolutionMs))
    for (const starts of this.#byStart) starts.clear()
    this.#earliestEndMs = Infinity
    return all
  }

  /** Rows of the windows closed since the last call, and of open ones that changed. */
  takeUnflushed(version: number): RollupRow[] {
    const rows = this.#closed
    for (const window of this.#unflushed) {
      if (window.unflushed) rows.push(this.#row(window, version, false))
      window.unflushed = false
    }
    this.#closed = []
    this.#unflushed = []
    return rows
  }

  /** The same for live readers, who are told on a beat of their own. */
  takeUnpublished(version: number, withOpen: boolean): RollupRow[] {
    const rows = this.#closedUnpublished
    this.#closedUnpublished = []
    if (!withOpen) {
      // What closed meanwhile must not be kept in memory by the list.
      this.#unpublished = this.#unpublished.filter((window) => window.unpublished)
      return rows
    }
    for (const window of this.#unpublished) {
      if (window.unpublished) rows.push(this.#row(window, version, false))
      window.unpublished = false
    }
    this.#unpublished = []
    return rows
  }

  #shelve(resolution: number, window: OpenWindow): void {
    const starts = this.#byStart[resolution]
    const shelf = starts?.get(window.startMs)
    if (shelf === undefined) starts?.set(window.startMs, [window])
    else shelf.push(window)
    const endMs = this.endMs(resolution, window.startMs)
    this.#earliestEndMs = Math.min(this.#earliestEndMs, endMs)
    this.#openCount += 1
  }

  #closeOne(window: OpenWindow, resolution: number, version: number): void {
    this.#detach(window, resolution)
    const row = this.#row(window, version, true)
    this.#closed.push(row)
    if (this.#closedUnpublished.length < UNPUBLISHED_ROWS_MAX) this.#closedUnpublished.push(row)
  }

  #detach(window: OpenWindow, resolution: number): void {
    window.unflushed = false
    window.unpublished = false
    this.#openCount -= 1
    const open = window.series.open[resolution]
    const at = open?.indexOf(window) ?? -1
    if (at >= 0) open?.splice(at, 1)
  }

  /** A closed window is never written again, so its row needs no copy. */
  #row(window: OpenWindow, version: number, final: boolean): RollupRow {
    const aggregate = window.aggregate()
    return {
      series: window.series,
      partition: this.#partition,
      resolutionMs: window.resolutionMs,
      startMs: window.startMs,
      aggregate: final ? aggregate : aggregate.copy(),
      final,
      correctedAtMs: 0,
      version,
    }
  }
}
