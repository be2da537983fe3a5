/**
 * The tables in memory, for tests, as unhelpful as ReplacingMergeTree may be: every row ever
 * inserted is kept, the highest version of a key wins, and of equal versions a read picks any.
 */
import type {
  ChildQuery,
  ParentQuery,
  RollupSink,
  RowFold,
  SampleFold,
  SeriesCells,
} from '../sinks/rollup-sink.ts'
import type { NumberedMessage, RawRows } from '../window/raw-rows.ts'
import type { RollupRow, RollupRows } from '../window/rollup-row.ts'
import type { Series, SeriesRef } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'
import { CELL_MS, windowStartMs } from '../window/tumbling-windows.ts'
import { invOf } from '../window/window-version.ts'

export type StoredSample = Readonly<{
  tsMs: number
  value: number
  text: string
  offset: number
  inv: bigint
}>
export type StoredRollup = RollupRow<SeriesRef>

export class MemorySink implements RollupSink {
  readonly #samples = new Map<string, Map<number, StoredSample[]>>()
  readonly #rollups = new Map<string, StoredRollup[]>()
  readonly messages: NumberedMessage[] = []
  readonly #names = new Map<string, Set<string>>()
  readonly #pick: (choices: number) => number

  /** `pick` chooses among rows with equal versions: an index below its argument. */
  constructor(pick: (choices: number) => number = () => 0) {
    this.#pick = pick
  }

  async insertSeries(series: readonly Series[]): Promise<void> {
    for (const each of series) {
      const names = this.#names.get(idKey(each)) ?? new Set()
      this.#names.set(idKey(each), names.add(`${each.device}/${each.metric}/${each.kind}`))
    }
  }

  async collisions(series: readonly Series[]): Promise<readonly string[]> {
    return series.map(idKey).filter((key) => (this.#names.get(key)?.size ?? 0) > 1)
  }

  async insertSamples(batches: readonly RawRows[]): Promise<void> {
    for (const batch of batches) for (let k = 0; k < batch.count; k += 1) this.#store(batch, k)
  }

  async insertMessages(messages: readonly NumberedMessage[]): Promise<void> {
    this.messages.push(...messages)
  }

  async insertRollups(batches: readonly RollupRows<SeriesRef>[]): Promise<void> {
    for (const rows of batches) for (const row of rows.each()) this.insertRollup(row)
  }

  insertRollup(row: StoredRollup): void {
    const key = `${idKey(row.series)} ${row.resolutionMs} ${row.startMs}`
    const stored = this.#rollups.get(key) ?? []
    this.#rollups.set(key, stored)
    stored.push(row)
  }

  async readSamples<F extends SampleFold>(
    cells: readonly SeriesCells[],
    begin: () => F,
  ): Promise<F> {
    const fold = begin()
    for (const { series, cellStartsMs } of cells) {
      const wanted = new Set(cellStartsMs)
      for (const { tsMs, value, text } of this.samples(series)) {
        if (wanted.has(windowStartMs(tsMs, CELL_MS))) fold.add(series, tsMs, value, text)
      }
    }
    return fold
  }

  async parentStarts(query: ParentQuery): Promise<readonly number[]> {
    const { childMs, parentMs, partitions, fromMs, toMs } = query
    const starts = new Set<number>()
    for (const { resolutionMs, startMs, partition } of this.#newest()) {
      if (resolutionMs !== childMs || !partitions.includes(partition)) continue
      if (startMs >= fromMs && startMs < toMs) starts.add(windowStartMs(startMs, parentMs))
    }
    return [...starts].sort((a, b) => a - b)
  }

  async readRollups<F extends RowFold>(query: ChildQuery, begin: () => F): Promise<F> {
    const fold = begin()
    const wanted = wantedBy(query)
    const rows = [...this.#newest()].filter((row) => row.resolutionMs === query.childMs)
    rows.sort((a, b) => order(idKey(a.series), idKey(b.series)) || a.startMs - b.startMs)
    for (const row of rows) if (wanted(row)) fold.add(row)
    await fold.relieve()
    return fold
  }

  /** What SELECT … FINAL shows of a series, in time order. */
  samples(series: SeriesRef): StoredSample[] {
    const times = [...(this.#samples.get(idKey(series)) ?? [])].sort(([a], [b]) => a - b)
    return times.flatMap(([, rows]) => this.#winner(rows, (row) => row.inv) ?? [])
  }

  rollup(series: SeriesRef, resolutionMs: number, startMs: number): StoredRollup | undefined {
    const rows = this.#rollups.get(`${idKey(series)} ${resolutionMs} ${startMs}`)
    return this.#winner(rows ?? [], (row) => row.version)
  }

  get rollupKeys(): string[] {
    return [...this.#rollups.keys()]
  }

  get sampleSeriesCount(): number {
    return this.#samples.size
  }

  *#newest(): Generator<StoredRollup> {
    for (const rows of this.#rollups.values()) {
      const row = this.#winner(rows, (each) => each.version)
      if (row !== undefined) yield row
    }
  }

  #store(batch: RawRows, k: number): void {
    const series = batch.series[k]
    if (series === undefined) return
    const tsMs = batch.tsMs[k] ?? NaN
    const offset = batch.offsets[k] ?? NaN
    const times = this.#samples.get(idKey(series)) ?? new Map<number, StoredSample[]>()
    this.#samples.set(idKey(series), times)
    const rows = times.get(tsMs) ?? []
    times.set(tsMs, rows)
    const [value, text] = [batch.values[k] ?? NaN, batch.texts.get(k) ?? '']
    rows.push({ tsMs, value, text, offset, inv: invOf(offset) })
  }

  #winner<Row>(rows: readonly Row[], versionOf: (row: Row) => number | bigint): Row | undefined {
    let best: Row[] = []
    for (const row of rows) {
      const top = best[0]
      if (top === undefined || versionOf(row) > versionOf(top)) best = [row]
      else if (versionOf(row) === versionOf(top)) best.push(row)
    }
    return best[best.length > 1 ? this.#pick(best.length) : 0]
  }
}

const idKey = (series: SeriesRef): string => `${series.tenant} ${seriesIdAsBigint(series.id)}`

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

function wantedBy(query: ChildQuery): (row: StoredRollup) => boolean {
  const { parentMs } = query
  if ('partitions' in query) {
    const { partitions, startMs: fromMs, endMs = fromMs + parentMs } = query
    return ({ partition, startMs }) =>
      partitions.includes(partition) && startMs >= fromMs && startMs < endMs
  }
  const cells = new Set(
    query.cells.flatMap(({ series, cellStartsMs }) =>
      cellStartsMs.map((startMs) => `${idKey(series)} ${startMs}`),
    ),
  )
  return ({ series, startMs }) => cells.has(`${idKey(series)} ${windowStartMs(startMs, parentMs)}`)
}
