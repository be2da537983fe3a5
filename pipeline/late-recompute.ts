/**
 * Corrections: windows that late samples fell into are folded again from the raw table, by the
 * same fold. A device that uploads days at once marks tens of thousands of windows, so they are
 * read in bundles, and rows are handed on bundle by bundle.
 */
import type { RollupSink, SampleFold, SeriesCells } from './sinks/rollup-sink.ts'
import type { LateMarks, SettledSnapshot } from './window/fold-snapshot.ts'
import { RollupRows } from './window/rollup-row.ts'
import type { Series, SeriesRef } from './window/series.ts'
import { SketchBuilder } from './window/sketch-builder.ts'
import { CELL_MS, RESOLUTIONS_MS, windowStartMs } from './window/tumbling-windows.ts'
import { WindowCollector } from './window/window-collector.ts'

/** Cells of one read: a query text of some 150 kB, and rows that fit in memory at 1 kHz. */
const CELLS_PER_READ = 4_000

/**
 * The corrected rows of a snapshot, in bundles of all resolutions. Its raw rows must be durable
 * already.
 */
export async function* correctedRows(
  snapshot: SettledSnapshot,
  sink: RollupSink,
): AsyncGenerator<readonly RollupRows[]> {
  const sketch = new SketchBuilder()
  for (const cells of bundled(markedCells(snapshot.late))) {
    const fold = await sink.readSamples(cells, () => new MarkedFold(snapshot, sketch))
    yield fold.finished()
  }
}

/** The cells that hold marked windows, by series. */
export function* markedCells(late: LateMarks): Generator<SeriesCells> {
  for (const [series, starts] of late.bySeries) {
    const cells = new Set<number>()
    for (const set of starts) for (const startMs of set) cells.add(windowStartMs(startMs, CELL_MS))
    yield { series, cellStartsMs: [...cells].sort((a, b) => a - b) }
  }
}

/** Cuts cells into reads, a series with many of them over as many as it takes. */
export function* bundled<S extends SeriesRef>(
  all: Iterable<SeriesCells<S>>,
): Generator<SeriesCells<S>[]> {
  let bundle: SeriesCells<S>[] = []
  let room = CELLS_PER_READ
  for (const { series, cellStartsMs } of all) {
    for (let from = 0; from < cellStartsMs.length;) {
      const some = cellStartsMs.slice(from, from + room)
      bundle.push({ series, cellStartsMs: some })
      from += some.length
      room -= some.length
      if (room > 0) continue
      yield bundle
      bundle = []
      room = CELLS_PER_READ
    }
  }
  if (bundle.length > 0) yield bundle
}

type Current = { series: Series; startMs: number } | undefined

/** Folds samples that come series by series in time order into the marked windows only. */
class MarkedFold implements SampleFold {
  readonly #snapshot: SettledSnapshot
  readonly #sketch: SketchBuilder
  readonly #rows = RESOLUTIONS_MS.map((size) => new RollupRows(size))
  readonly #windows = RESOLUTIONS_MS.map(() => new WindowCollector())
  readonly #current: Current[] = RESOLUTIONS_MS.map(() => undefined)

  constructor(snapshot: SettledSnapshot, sketch: SketchBuilder) {
    this.#snapshot = snapshot
    this.#sketch = sketch
  }

  // oxlint-disable-next-line max-params -- the shape of SampleFold
  add(series: Series, tsMs: number, value: number, text: string): void {
    for (const [r, sizeMs] of RESOLUTIONS_MS.entries()) {
      const startMs = windowStartMs(tsMs, sizeMs)
      const current = this.#current[r]
      if (current?.series !== series || current.startMs !== startMs) {
        if (this.#snapshot.late.bySeries.get(series)?.[r]?.has(startMs) !== true) continue
        this.#finish(r)
        this.#current[r] = { series, startMs }
        this.#windows[r]?.begin(startMs, series.kind === 'text')
      }
      this.#windows[r]?.add(tsMs, value, text)
    }
  }

  finished(): readonly RollupRows[] {
    for (const r of RESOLUTIONS_MS.keys()) this.#finish(r)
    return this.#rows
  }

  #finish(r: number): void {
    const [current, rows, snapshot] = [this.#current[r], this.#rows[r], this.#snapshot]
    this.#current[r] = undefined
    if (current === undefined || rows === undefined) return
    const head = {
      series: current.series,
      partition: snapshot.partition,
      final: true,
      correctedAtMs: snapshot.correctedAtMs,
      version: snapshot.correctionVersion,
    }
    this.#windows[r]?.writeTo(rows, head, this.#sketch)
  }
}
