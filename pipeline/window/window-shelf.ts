/**
 * The open windows by series and by start, and the rows that wait to be flushed or published. All
 * windows of one start close together, and each start's first window has its lowest offset,
 * because windows are opened in offset order.
 */
import type { TelemetryReader } from '../../schemas/telemetry-reader.ts'
import { NUMBERS_PER_WINDOW } from './fold-numbers.ts'
import { indexOf, NONE, OpenWindows, UNFLUSHED, UNPUBLISHED } from './open-windows.ts'
import { RollupRows, type RowRange } from './rollup-row.ts'
import { baseOf } from './sample-pool.ts'
import type { Series } from './series.ts'
import { SketchBuilder } from './sketch-builder.ts'
import { RESOLUTIONS_MS, windowStartMs } from './tumbling-windows.ts'

/** Closed windows kept for live readers while nothing can be published. The tables have them all. */
const UNPUBLISHED_ROWS_MAX = 50_000
/** A window gets about as many samples as the one before it, and at first nobody knows. */
const SAMPLES_EXPECTED = 4

type Shelf = { newest: number; firstOffset: number }
/** What is said of the rows of one moment. */
type Moment = Readonly<{ version: number; final: boolean }>

export class WindowShelf {
  readonly #partition: number
  readonly #windows = new OpenWindows()
  readonly #sketch = new SketchBuilder()
  readonly #shelves = RESOLUTIONS_MS.map(() => new Map<number, Shelf>())
  /** The newest open window of each series, a stretch for each resolution. */
  readonly #newest = RESOLUTIONS_MS.map(() => new Int32Array(0))
  /** The earliest end of an open window: nothing closes before it. */
  #earliestEndMs = Infinity
  #oldestClosedEndMs = Infinity
  #openCount = 0
  #rows = freshRows()
  /** Rows of `#rows` that live readers were told of, or need not be. */
  #published = RESOLUTIONS_MS.map(() => 0)
  #unpublishedRanges: RowRange[] = []
  #unpublishedRows = 0
  #unflushed: number[] = []
  #unpublished: number[] = []

  constructor(partition: number) {
    this.#partition = partition
  }

  /** Nothing closes before it. */
  get earliestEndMs(): number {
    return this.#earliestEndMs
  }

  get openCount(): number {
    return this.#openCount
  }

  /** Rows that the next flush holds already. */
  get closedCount(): number {
    return this.#rows.reduce((sum, rows) => sum + rows.count, 0)
  }

  get sampleBytes(): number {
    return this.#windows.pool.bytes
  }

  /** The lowest offset that an open window needs; Infinity when none is open. */
  get firstOffset(): number {
    let lowest = Infinity
    for (const shelves of this.#shelves) {
      for (const { firstOffset } of shelves.values()) lowest = Math.min(lowest, firstOffset)
    }
    return lowest
  }

  isIdle(series: Series): boolean {
    return this.#newest.every((newest) => (newest[series.number] ?? NONE) === NONE)
  }

  /**
   * Puts sample k of a record into its window, which opens if need be. Answers the window, or NONE
   * when it has a sample of this time already; that one stays.
   */
  // oxlint-disable-next-line max-params -- once per sample and resolution
  put(
    series: Series,
    resolution: number,
    record: TelemetryReader,
    k: number,
    offset: number,
  ): number {
    const windows = this.#windows
    const tsMs = record.tsMs[k] ?? NaN
    const sizeMs = RESOLUTIONS_MS[resolution] ?? NaN
    let slot = this.#newest[resolution]?.[series.number] ?? NONE
    let dt = slot === NONE ? NONE : tsMs - (windows.blockOf(slot).startMs[indexOf(slot)] ?? NaN)
    // Most samples lie in their series' newest window, which is seen without a division.
    if (!(dt >= 0 && dt < sizeMs)) {
      const startMs = windowStartMs(tsMs, sizeMs)
      const older = this.#olderAt(series, resolution, startMs)
      slot = older === NONE ? this.#open(series, resolution, startMs, offset) : older
      dt = tsMs - startMs
    }
    const isNew =
      series.kind === 'text'
        ? windows.insertText(slot, dt, record.texts[k] ?? '')
        : windows.insert(slot, dt, record.values, k)
    return isNew ? slot : NONE
  }

  /** Notes that a window's content is ahead of the tables and of live readers. */
  changed(slot: number): void {
    const { flags } = this.#windows.blockOf(slot)
    const i = indexOf(slot)
    const before = flags[i] ?? 0
    if (before === (UNFLUSHED | UNPUBLISHED)) return
    if ((before & UNFLUSHED) === 0) this.#unflushed.push(slot)
    if ((before & UNPUBLISHED) === 0) this.#unpublished.push(slot)
    flags[i] = UNFLUSHED | UNPUBLISHED
  }

  /** Closes every window that ends at or before C; their rows are final at this version. */
  close(closedToMs: number, version: number): void {
    if (closedToMs < this.#earliestEndMs) return
    this.#earliestEndMs = Infinity
    for (const [resolution, shelves] of this.#shelves.entries()) {
      for (const [startMs, shelf] of shelves) {
        const endMs = startMs + (RESOLUTIONS_MS[resolution] ?? NaN)
        if (endMs > closedToMs) {
          this.#earliestEndMs = Math.min(this.#earliestEndMs, endMs)
          continue
        }
        shelves.delete(startMs)
        this.#oldestClosedEndMs = Math.min(this.#oldestClosedEndMs, endMs)
        this.#closeShelf(shelf, resolution, version)
      }
    }
  }

  /** End of the oldest window that closed since the last call; undefined when none did. */
  takeOldestClosedEndMs(): number | undefined {
    const endMs = this.#oldestClosedEndMs
    this.#oldestClosedEndMs = Infinity
    return endMs === Infinity ? undefined : endMs
  }

  /** Forgets every open window; tells which they were, for a caller that has them recomputed. */
  removeAll(visit: (series: Series, resolution: number, startMs: number) => void): void {
    for (const [resolution, shelves] of this.#shelves.entries()) {
      for (const [startMs, shelf] of shelves) {
        this.#forEachOf(shelf, (slot, series) => {
          visit(series, resolution, startMs)
          this.#remove(slot, series, resolution)
        })
      }
      shelves.clear()
    }
    this.#earliestEndMs = Infinity
  }

  /** Rows of the windows closed since the last call and, if wished, of open ones that changed. */
  takeUnflushed(version: number, withOpen: boolean): readonly RollupRows[] {
    this.#keepForReaders()
    const rows = this.#rows
    this.#rows = freshRows()
    this.#published = RESOLUTIONS_MS.map(() => 0)
    this.#unflushed = this.#takeChanged(this.#unflushed, UNFLUSHED, { rows, version, withOpen })
    return rows
  }

  /** The same for live readers, who are told on a beat of their own. */
  takeUnpublished(version: number, withOpen: boolean): RowRange[] {
    this.#keepForReaders()
    const ranges = this.#unpublishedRanges
    this.#unpublishedRanges = []
    this.#unpublishedRows = 0
    const rows = freshRows()
    this.#unpublished = this.#takeChanged(this.#unpublished, UNPUBLISHED, {
      rows,
      version,
      withOpen,
    })
    for (const each of rows)
      if (each.count > 0) ranges.push({ rows: each, from: 0, to: each.count })
    return ranges
  }

  /** Writes the rows of changed windows; answers those that are still to be written. */
  #takeChanged(
    slots: number[],
    flag: number,
    to: Readonly<{ rows: readonly RollupRows[]; version: number; withOpen: boolean }>,
  ): number[] {
    // Who leaves open windows out asks often: what closed meanwhile need not be sorted out each time.
    if (!to.withOpen && slots.length <= 2 * this.#openCount) return slots
    const changed: number[] = []
    for (const slot of slots) {
      const { flags } = this.#windows.blockOf(slot)
      const i = indexOf(slot)
      // What closed meanwhile has its row, and its slot may hold another window.
      if (((flags[i] ?? 0) & flag) === 0) continue
      flags[i] = (flags[i] ?? 0) & ~flag
      changed.push(slot)
    }
    if (to.withOpen) {
      const moment = { version: to.version, final: false }
      for (const slot of changed) this.#addRow(slot, to.rows, moment)
      return []
    }
    for (const slot of changed) {
      const { flags } = this.#windows.blockOf(slot)
      flags[indexOf(slot)] = (flags[indexOf(slot)] ?? 0) | flag
    }
    return changed
  }

  /** Closed rows that no reader was told of stay known, up to a bound, when a flush takes them. */
  #keepForReaders(): void {
    for (const [resolution, rows] of this.#rows.entries()) {
      const from = this.#published[resolution] ?? 0
      this.#published[resolution] = rows.count
      if (rows.count === from) continue
      if (this.#unpublishedRows + rows.count - from > UNPUBLISHED_ROWS_MAX) continue
      this.#unpublishedRanges.push({ rows, from, to: rows.count })
      this.#unpublishedRows += rows.count - from
    }
  }

  #olderAt(series: Series, resolution: number, startMs: number): number {
    let slot = this.#newest[resolution]?.[series.number] ?? NONE
    while (slot !== NONE) {
      const block = this.#windows.blockOf(slot)
      const found = block.startMs[indexOf(slot)] ?? NaN
      if (found === startMs) return slot
      if (found < startMs) return NONE
      slot = block.older[indexOf(slot)] ?? NONE
    }
    return NONE
  }

  // oxlint-disable-next-line max-params -- once per window
  #open(series: Series, resolution: number, startMs: number, offset: number): number {
    const newest = this.#newestOf(resolution, series.number)
    const before = newest[series.number] ?? NONE
    const expected = before === NONE ? SAMPLES_EXPECTED : this.#countOf(before)
    const slot = this.#windows.open(series, resolution, startMs, offset, expected)
    this.#linkToSeries(slot, newest, series, startMs)
    const shelves = this.#shelves[resolution]
    const shelf = shelves?.get(startMs)
    if (shelf === undefined) {
      shelves?.set(startMs, { newest: slot, firstOffset: offset })
      const endMs = startMs + (RESOLUTIONS_MS[resolution] ?? NaN)
      this.#earliestEndMs = Math.min(this.#earliestEndMs, endMs)
    } else {
      this.#windows.blockOf(slot).neighbour[indexOf(slot)] = shelf.newest
      shelf.newest = slot
    }
    this.#openCount += 1
    return slot
  }

  #newestOf(resolution: number, number: number): Int32Array {
    const newest = this.#newest[resolution] ?? new Int32Array(0)
    if (number < newest.length) return newest
    const longer = new Int32Array(Math.max(number + 1, newest.length * 2)).fill(NONE)
    longer.set(newest)
    this.#newest[resolution] = longer
    return longer
  }

  /** Windows of a series hang together from the newest to the oldest. */
  // oxlint-disable-next-line max-params -- once per window
  #linkToSeries(slot: number, newest: Int32Array, series: Series, startMs: number): void {
    let above = NONE
    let below = newest[series.number] ?? NONE
    while (below !== NONE) {
      const block = this.#windows.blockOf(below)
      if ((block.startMs[indexOf(below)] ?? NaN) < startMs) break
      above = below
      below = block.older[indexOf(below)] ?? NONE
    }
    this.#windows.blockOf(slot).older[indexOf(slot)] = below
    if (above === NONE) newest[series.number] = slot
    else this.#windows.blockOf(above).older[indexOf(above)] = slot
  }

  #countOf(slot: number): number {
    return this.#windows.blockOf(slot).count[indexOf(slot)] ?? 0
  }

  #closeShelf(shelf: Shelf, resolution: number, version: number): void {
    this.#forEachOf(shelf, (slot, series) => {
      this.#addRow(slot, this.#rows, { version, final: true })
      this.#remove(slot, series, resolution)
    })
  }

  #forEachOf(shelf: Shelf, visit: (slot: number, series: Series) => void): void {
    for (let slot = shelf.newest; slot !== NONE;) {
      const block = this.#windows.blockOf(slot)
      const next = block.neighbour[indexOf(slot)] ?? NONE
      const series = block.series[indexOf(slot)]
      if (series !== undefined) visit(slot, series)
      slot = next
    }
  }

  #remove(slot: number, series: Series, resolution: number): void {
    this.#openCount -= 1
    const older = this.#windows.blockOf(slot).older[indexOf(slot)] ?? NONE
    const newest = this.#newestOf(resolution, series.number)
    let above = newest[series.number] ?? NONE
    if (above === slot) newest[series.number] = older
    else {
      for (;;) {
        const block = this.#windows.blockOf(above)
        const next = block.older[indexOf(above)] ?? NONE
        if (next === slot) {
          block.older[indexOf(above)] = older
          break
        }
        above = next
      }
    }
    this.#windows.close(slot)
  }

  #addRow(slot: number, into: readonly RollupRows[], { version, final }: Moment): void {
    const windows = this.#windows
    windows.fold(slot)
    const block = windows.blockOf(slot)
    const i = indexOf(slot)
    const series = block.series[i]
    const rows = into[block.resolution[i] ?? 0]
    if (series === undefined || rows === undefined) return
    const count = block.count[i] ?? 0
    const samples = block.samples[i] ?? 0
    const startMs = block.startMs[i] ?? 0
    const base = baseOf(samples)
    const { dts, words } = windows.pool.segmentOf(samples)
    const texts = series.kind === 'text' ? windows.textsOf(slot) : undefined
    this.#sketch.clear()
    if (series.kind !== 'text') this.#sketch.addAll(words, base, base + count)
    this.#sketch.sort()
    rows.addFolded(
      { series, partition: this.#partition, startMs, final, correctedAtMs: 0, version },
      {
        numbers: block.numbers,
        at: i * NUMBERS_PER_WINDOW,
        count,
        firstTsMs: startMs + (dts[base] ?? 0),
        lastTsMs: startMs + (dts[base + count - 1] ?? 0),
        firstText: texts?.first ?? '',
        lastText: texts?.last ?? '',
      },
      this.#sketch,
    )
  }
}

const freshRows = (): RollupRows[] => RESOLUTIONS_MS.map((size) => new RollupRows(size))
