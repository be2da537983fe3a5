/**
 * Corrections: windows that late samples fell into are folded again from the raw table, by the
 * same fold. A device that uploads days at once marks tens of thousands of windows, so they are
 * read in bundles, and rows are handed on bundle by bundle.
 */
import type { RollupSink, SeriesCells } from './sinks/rollup-sink.ts'
import { Aggregate } from './window/aggregate.ts'
import type { FoldSnapshot, LateMarks, RollupRow } from './window/rollup-row.ts'
import type { Series } from './window/series.ts'
import { CELL_MS, RESOLUTIONS_MS, windowStartMs } from './window/tumbling-windows.ts'

/** Cells of one read: a query text of some 150 kB, and rows that fit in memory at 1 kHz. */
const CELLS_PER_READ = 4_000

/** The corrected rows of a snapshot, in bundles. Its raw rows must be durable already. */
export async function* correctedRows(
  snapshot: FoldSnapshot,
  sink: RollupSink,
): AsyncGenerator<RollupRow[]> {
  for (const cells of bundles(snapshot.late)) {
    const folds = new MarkedFolds(snapshot)
    await sink.readSamples(cells, (series, tsMs, value, text) => {
      folds.add(series, tsMs, value, text)
    })
    yield folds.rows
  }
}

/** Cuts the marked cells into reads, a long-silent series over as many as it takes. */
export function* bundles(late: LateMarks): Generator<SeriesCells[]> {
  let bundle: SeriesCells[] = []
  let room = CELLS_PER_READ
  for (const [series, starts] of late.bySeries) {
    const cells = cellsOf(starts)
    for (let from = 0; from < cells.length;) {
      const some = cells.slice(from, from + room)
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

function cellsOf(starts: readonly ReadonlySet<number>[]): number[] {
  const cells = new Set<number>()
  for (const set of starts) for (const startMs of set) cells.add(windowStartMs(startMs, CELL_MS))
  return [...cells].sort((a, b) => a - b)
}

/** Folds samples that come series by series in time order into the marked windows only. */
class MarkedFolds {
  readonly rows: RollupRow[] = []
  readonly #snapshot: FoldSnapshot
  readonly #current: (RollupRow | undefined)[] = RESOLUTIONS_MS.map(() => undefined)

  constructor(snapshot: FoldSnapshot) {
    this.#snapshot = snapshot
  }

  // oxlint-disable-next-line max-params -- the shape of SampleVisitor
  add(series: Series, tsMs: number, value: number, text: string): void {
    for (const [r, resolutionMs] of RESOLUTIONS_MS.entries()) {
      const startMs = windowStartMs(tsMs, resolutionMs)
      let row = this.#current[r]
      if (row?.series !== series || row.startMs !== startMs) {
        if (this.#snapshot.late.bySeries.get(series)?.[r]?.has(startMs) !== true) continue
        row = this.#begin(series, r, startMs)
      }
      if (series.kind === 'text') row.aggregate.addText(tsMs, text)
      else row.aggregate.addNumber(tsMs, value)
    }
  }

  #begin(series: Series, r: number, startMs: number): RollupRow {
    const row = {
      series,
      partition: this.#snapshot.partition,
      resolutionMs: RESOLUTIONS_MS[r] ?? NaN,
      startMs,
      aggregate: new Aggregate(),
      final: true,
      correctedAtMs: this.#snapshot.correctedAtMs,
      version: this.#snapshot.correctionVersion,
    }
    this.#current[r] = row
    this.rows.push(row)
    return row
  }
}
