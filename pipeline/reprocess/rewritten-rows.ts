/** Rows of one stretch that were found to differ, and the count of all. */
import type { RollupSink } from '../sinks/rollup-sink.ts'
import { RollupRows } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'
import type { Verdict } from './stored-windows.ts'

export type WindowCounts = {
  windows: number
  unchanged: number
  /** Rewritten because they differed, and added because they had no row. */
  rewritten: number
  added: number
  /** Still open: the pipeline's. */
  open: number
  /** Further rows, of which nothing is stored that they could be made of; left as they are. */
  unexplained: number
}

export const noCounts = (): WindowCounts => ({
  ...{ windows: 0, unchanged: 0, rewritten: 0, added: 0, open: 0, unexplained: 0 },
})

export class RewrittenRows {
  readonly #sink: Pick<RollupSink, 'insertRollups'>
  readonly #counts: WindowCounts
  readonly #dryRun: boolean
  readonly resolutionMs: number
  rows: RollupRows<SeriesRef>

  constructor(
    sink: Pick<RollupSink, 'insertRollups'>,
    options: Readonly<{ resolutionMs: number; counts: WindowCounts; dryRun: boolean }>,
  ) {
    this.#sink = sink
    this.#counts = options.counts
    this.#dryRun = options.dryRun
    this.resolutionMs = options.resolutionMs
    this.rows = new RollupRows(options.resolutionMs)
  }

  /** Counts the verdict; true when the row has to be written. */
  count(verdict: Verdict): verdict is Extract<Verdict, { version: number }> {
    this.#counts.windows += 1
    switch (verdict.kind) {
      case 'unchanged':
        this.#counts.unchanged += 1
        return false
      case 'open':
        this.#counts.open += 1
        return false
      case 'rewrite':
        this.#counts.rewritten += 1
        return true
      case 'add':
        this.#counts.added += 1
        return true
    }
  }

  /** Resolves when the gathered rows are in the tables. */
  async write(): Promise<void> {
    const { rows } = this
    if (rows.count === 0) return
    this.rows = new RollupRows(this.resolutionMs)
    if (!this.#dryRun) await this.#sink.insertRollups([rows])
  }
}
