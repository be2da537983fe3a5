/**
 * Rows of the rollup tables, a column for each property, as they are written to ClickHouse. What
 * the numbers mean: schemas/window-merge.ts.
 */
import type { WindowPart } from '../../schemas/window-merge.ts'
import { widened } from './columns.ts'
import { FIRST, INTEGRAL, LAST, M2, MAX, MIN, SUM } from './fold-numbers.ts'
import type { Series, SeriesRef } from './series.ts'
import type { SketchBuilder } from './sketch-builder.ts'

/** What is said of a row beside its window's content. */
export type RowHead<S extends SeriesRef = Series> = Readonly<{
  series: S
  partition: number
  startMs: number
  final: boolean
  /** Log append time of the record in `version` when a correction wrote the row, else 0. */
  correctedAtMs: number
  version: number
}>

/** One row as an object, for tests, merges and people. */
export type RollupRow<S extends SeriesRef = Series> = RowHead<S> &
  Readonly<{ resolutionMs: number; aggregate: WindowPart }>

/** Content of a folded window. */
export type FoldedWindow = Readonly<{
  numbers: Float64Array
  at: number
  count: number
  firstTsMs: number
  lastTsMs: number
  firstText: string
  lastText: string
}>

const FIRST_ROWS = 16

export class RollupRows<S extends SeriesRef = Series> {
  readonly resolutionMs: number
  count = 0
  readonly series: S[] = []
  partitions = new Uint16Array(FIRST_ROWS)
  startsMs = new Float64Array(FIRST_ROWS)
  finals = new Uint8Array(FIRST_ROWS)
  correctedAtMs = new Float64Array(FIRST_ROWS)
  versions = new Float64Array(FIRST_ROWS)
  counts = new Uint32Array(FIRST_ROWS)
  sums = new Float64Array(FIRST_ROWS)
  mins = new Float64Array(FIRST_ROWS)
  maxs = new Float64Array(FIRST_ROWS)
  firsts = new Float64Array(FIRST_ROWS)
  lasts = new Float64Array(FIRST_ROWS)
  m2s = new Float64Array(FIRST_ROWS)
  integrals = new Float64Array(FIRST_ROWS)
  firstTsMs = new Float64Array(FIRST_ROWS)
  lastTsMs = new Float64Array(FIRST_ROWS)
  /** Row k's bins lie between the ends of row k - 1 and k. */
  sketchEnds = new Uint32Array(FIRST_ROWS)
  sketchBins = new Int16Array(FIRST_ROWS)
  sketchCounts = new Uint32Array(FIRST_ROWS)
  /** By row, for the few that have texts. */
  readonly firstTexts = new Map<number, string>()
  readonly lastTexts = new Map<number, string>()

  constructor(resolutionMs: number) {
    this.resolutionMs = resolutionMs
  }

  /** Adds a window that was folded from samples; its sketch must be sorted. */
  addFolded(head: RowHead<S>, window: FoldedWindow, sketch: SketchBuilder): void {
    const { numbers, at } = window
    const row = this.#begin(head, window)
    this.sums[row] = numbers[at + SUM] ?? 0
    this.mins[row] = numbers[at + MIN] ?? 0
    this.maxs[row] = numbers[at + MAX] ?? 0
    this.firsts[row] = numbers[at + FIRST] ?? 0
    this.lasts[row] = numbers[at + LAST] ?? 0
    this.m2s[row] = numbers[at + M2] ?? 0
    this.integrals[row] = numbers[at + INTEGRAL] ?? 0
    const from = this.#bins(sketch.size)
    for (let n = 0; n < sketch.size; n += 1) {
      const bin = sketch.bins[n] ?? 0
      this.sketchBins[from + n] = bin
      this.sketchCounts[from + n] = sketch.countOf(bin)
    }
    this.#end(row, from + sketch.size)
  }

  /** Adds a window that was merged from others. */
  addMerged(head: RowHead<S>, window: WindowPart): void {
    const row = this.#begin(head, window)
    this.sums[row] = window.sum
    this.mins[row] = window.min
    this.maxs[row] = window.max
    this.firsts[row] = window.first
    this.lasts[row] = window.last
    this.m2s[row] = window.m2
    this.integrals[row] = window.integral
    const bins = [...window.sketch].sort(([a], [b]) => a - b)
    const from = this.#bins(bins.length)
    for (const [n, [bin, count]] of bins.entries()) {
      this.sketchBins[from + n] = bin
      this.sketchCounts[from + n] = count
    }
    this.#end(row, from + bins.length)
  }

  at(row: number): RollupRow<S> {
    const series = this.series[row]
    if (series === undefined) throw new RangeError(`no row ${row}`)
    return {
      series,
      partition: this.partitions[row] ?? 0,
      resolutionMs: this.resolutionMs,
      startMs: this.startsMs[row] ?? 0,
      aggregate: { ...this.#numbersAt(row), sketch: this.#sketchAt(row) },
      final: this.finals[row] === 1,
      correctedAtMs: this.correctedAtMs[row] ?? 0,
      version: this.versions[row] ?? 0,
    }
  }

  /** All rows, one after the other. */
  *each(): Generator<RollupRow<S>> {
    for (let row = 0; row < this.count; row += 1) yield this.at(row)
  }

  #numbersAt(row: number): Omit<WindowPart, 'sketch'> {
    return {
      count: this.counts[row] ?? 0,
      sum: this.sums[row] ?? 0,
      min: this.mins[row] ?? 0,
      max: this.maxs[row] ?? 0,
      first: this.firsts[row] ?? 0,
      last: this.lasts[row] ?? 0,
      firstTsMs: this.firstTsMs[row] ?? 0,
      lastTsMs: this.lastTsMs[row] ?? 0,
      m2: this.m2s[row] ?? 0,
      integral: this.integrals[row] ?? 0,
      firstText: this.firstTexts.get(row) ?? '',
      lastText: this.lastTexts.get(row) ?? '',
    }
  }

  #sketchAt(row: number): Map<number, number> {
    const sketch = new Map<number, number>()
    const end = this.sketchEnds[row] ?? 0
    for (let n = row === 0 ? 0 : (this.sketchEnds[row - 1] ?? 0); n < end; n += 1) {
      sketch.set(this.sketchBins[n] ?? 0, this.sketchCounts[n] ?? 0)
    }
    return sketch
  }

  #begin(
    head: RowHead<S>,
    window: Pick<WindowPart, 'count' | 'firstTsMs' | 'lastTsMs' | 'firstText' | 'lastText'>,
  ): number {
    const row = this.count
    if (row === this.startsMs.length) this.#grow()
    this.series.push(head.series)
    this.partitions[row] = head.partition
    this.startsMs[row] = head.startMs
    this.finals[row] = head.final ? 1 : 0
    this.correctedAtMs[row] = head.correctedAtMs
    this.versions[row] = head.version
    this.counts[row] = window.count
    this.firstTsMs[row] = window.firstTsMs
    this.lastTsMs[row] = window.lastTsMs
    if (window.firstText !== '') this.firstTexts.set(row, window.firstText)
    if (window.lastText !== '') this.lastTexts.set(row, window.lastText)
    return row
  }

  #end(row: number, sketchEnd: number): void {
    this.sketchEnds[row] = sketchEnd
    this.count = row + 1
  }

  /** Makes room for so many bins and answers where they begin. */
  #bins(size: number): number {
    const from = this.count === 0 ? 0 : (this.sketchEnds[this.count - 1] ?? 0)
    this.sketchBins = widened(this.sketchBins, from + size)
    this.sketchCounts = widened(this.sketchCounts, from + size)
    return from
  }

  #grow(): void {
    const rows = this.count + 1
    this.partitions = widened(this.partitions, rows)
    this.startsMs = widened(this.startsMs, rows)
    this.finals = widened(this.finals, rows)
    this.correctedAtMs = widened(this.correctedAtMs, rows)
    this.versions = widened(this.versions, rows)
    this.counts = widened(this.counts, rows)
    this.sums = widened(this.sums, rows)
    this.mins = widened(this.mins, rows)
    this.maxs = widened(this.maxs, rows)
    this.firsts = widened(this.firsts, rows)
    this.lasts = widened(this.lasts, rows)
    this.m2s = widened(this.m2s, rows)
    this.integrals = widened(this.integrals, rows)
    this.firstTsMs = widened(this.firstTsMs, rows)
    this.lastTsMs = widened(this.lastTsMs, rows)
    this.sketchEnds = widened(this.sketchEnds, rows)
  }
}

/** Some neighbouring rows: those of live updates, which share their columns with the flush. */
export type RowRange = Readonly<{ rows: RollupRows; from: number; to: number }>
