/**
 * The tables in memory, for tests, as unhelpful as ReplacingMergeTree may be: every row ever
 * inserted is kept, the highest version of a key wins, and of equal versions a read picks any.
 */
import type { Aggregate } from '../window/aggregate.ts'
import type { RawRows, RollupRow } from '../window/rollup-row.ts'
import type { Series } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'
import { CELL_MS, windowStartMs } from '../window/tumbling-windows.ts'
import { invOf } from '../window/window-version.ts'
import type { RollupSink, SampleVisitor, SeriesCells } from '../sinks/rollup-sink.ts'

export type StoredSample = Readonly<{
  tsMs: number
  value: number
  text: string
  offset: number
  inv: bigint
}>
export type StoredRollup = Readonly<{ aggregate: Aggregate; final: boolean; version: number }>

export class MemorySink implements RollupSink {
  readonly #samples = new Map<string, Map<number, StoredSample[]>>()
  readonly #rollups = new Map<string, StoredRollup[]>()
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

  async insertRollups(_resolutionMs: number, rows: readonly RollupRow[]): Promise<void> {
    for (const { series, resolutionMs, startMs, aggregate, final, version } of rows) {
      const key = `${idKey(series)} ${resolutionMs} ${startMs}`
      const stored = this.#rollups.get(key) ?? []
      this.#rollups.set(key, stored)
      stored.push({ aggregate: aggregate.copy(), final, version })
    }
  }

  async readSamples(cells: readonly SeriesCells[], visit: SampleVisitor): Promise<void> {
    for (const { series, cellStartsMs } of cells) {
      const wanted = new Set(cellStartsMs)
      for (const { tsMs, value, text } of this.samples(series)) {
        if (wanted.has(windowStartMs(tsMs, CELL_MS))) visit(series, tsMs, value, text)
      }
    }
  }

  /** What SELECT … FINAL shows of a series, in time order. */
  samples(series: Pick<Series, 'tenant' | 'id'>): StoredSample[] {
    const times = [...(this.#samples.get(idKey(series)) ?? [])].sort(([a], [b]) => a - b)
    return times.flatMap(([, rows]) => this.#winner(rows, (row) => row.inv) ?? [])
  }

  rollup(
    series: Pick<Series, 'tenant' | 'id'>,
    resolutionMs: number,
    startMs: number,
  ): StoredRollup | undefined {
    const rows = this.#rollups.get(`${idKey(series)} ${resolutionMs} ${startMs}`)
    return this.#winner(rows ?? [], (row) => row.version)
  }

  get rollupKeys(): string[] {
    return [...this.#rollups.keys()]
  }

  get sampleSeriesCount(): number {
    return this.#samples.size
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
    const [value, text] = [batch.values[k] ?? NaN, batch.texts[k] ?? '']
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

const idKey = (series: Pick<Series, 'tenant' | 'id'>): string =>
  `${series.tenant} ${seriesIdAsBigint(series.id)}`
