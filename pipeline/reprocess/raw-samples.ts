/** The raw rows of a stretch of time, for reprocessing: all series, in order. */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { NativeColumns } from '../../platform/clickhouse/native-reader.ts'
import type { SeriesRef } from '../window/series.ts'
import type { HourCount, Stretch } from './stretches.ts'

/** Nothing chosen: every series. */
type SeriesChoice = Readonly<{ tenant: string; device: string }>
/** A series where its records are. */
export type PlacedSeries = SeriesRef & Readonly<{ partition: number }>

/** Where reprocessing reads raw samples: ClickHouse, or tables in memory. */
export type RawSource = Pick<RawSamples, 'hours' | 'kinds' | 'read' | 'chosenSeries'>

const HOUR_MS = 3_600_000

export type RawSampleFold = Readonly<{
  /**
   * One call per stored sample: an object for each would be garbage. A series comes as another
   * object with each block of rows, which may begin within a window.
   */
  add(series: PlacedSeries, tsMs: number, value: number, text: string, offset: number): void
}>

export class RawSamples {
  readonly #clickhouse: Clickhouse
  readonly #choice: SeriesChoice

  constructor(clickhouse: Clickhouse, choice: SeriesChoice) {
    this.#clickhouse = clickhouse
    this.#choice = choice
  }

  /** The hours of [fromMs, toMs) that have samples, the oldest first. */
  async hours(fromMs: number, toMs: number): Promise<readonly HourCount[]> {
    const rows = await this.#clickhouse.select<{ part: number; hour: number; samples: string }>(
      `SELECT part, intDiv(toUnixTimestamp(ts), 3600) AS hour, count() AS samples FROM samples
       WHERE ${within(fromMs, toMs)} AND ${this.#chosen()} GROUP BY hour, part ORDER BY hour, part`,
      this.#choice,
    )
    return rows.map(({ part, hour, samples }) => ({
      ...{ partition: part, startMs: hour * HOUR_MS, samples: Number(samples) },
    }))
  }

  /**
   * The series of a stretch by `tenant id`, and whether they hold texts. Asked for before the samples:
   * one that is not in the answer and then has samples is new, and folded by today's release.
   */
  async kinds(stretch: Stretch): Promise<ReadonlyMap<string, boolean>> {
    const rows = await this.#clickhouse.select<{ name: string; isText: number }>(
      `SELECT concat(tenant, ' ', toString(series)) AS name, max(kind = 'text') AS isText FROM series
       WHERE (tenant, series) IN (SELECT tenant, series FROM samples
         WHERE ${inStretch(stretch)})
         AND ${this.#chosen()} GROUP BY name`,
      this.#choice,
    )
    return new Map(rows.map(({ name, isText }) => [name, isText === 1]))
  }

  /** Those chosen, as `tenant id`; undefined: every one. */
  async chosenSeries(): Promise<ReadonlySet<string> | undefined> {
    if (this.#choice.tenant === '') return undefined
    const rows = await this.#clickhouse.select<{ name: string }>(
      `SELECT DISTINCT concat(tenant, ' ', toString(series)) AS name FROM series
       WHERE ${this.#chosen()}`,
      this.#choice,
    )
    return new Set(rows.map(({ name }) => name))
  }

  /** Visits the samples of a stretch, series by series, in the order of time. */
  async read(stretch: Stretch, fold: RawSampleFold): Promise<void> {
    await this.#clickhouse.selectNative(
      `SELECT tenant, series, ts, value, text, off, part FROM samples FINAL
       WHERE ${inStretch(stretch)} AND ${this.#chosen()} ORDER BY tenant, series, ts`,
      this.#choice,
      { settings: {}, onBlock: (block) => addSamples(block, fold) },
    )
  }

  #chosen(): string {
    const { tenant, device } = this.#choice
    if (tenant === '') return '1'
    if (device === '') return 'tenant = {tenant:String}'
    return `tenant = {tenant:String} AND series IN
      (SELECT series FROM series WHERE tenant = {tenant:String} AND device = {device:String})`
  }
}

function addSamples(block: NativeColumns, fold: RawSampleFold): void {
  const tenants = block.lowCardinality('tenant')
  const ids = block.u64Words('series')
  const [tsMs, values, texts] = [block.timeMs('ts'), block.f64('value'), block.string('text')]
  const [offsets, partitions] = [block.u64AsNumbers('off'), block.u16('part')]
  let series: PlacedSeries | undefined
  for (let row = 0; row < block.rows; row += 1) {
    const tenant = tenants.dictionary[tenants.indexes[row] ?? 0] ?? ''
    const [low, high] = [ids[2 * row] ?? 0, ids[2 * row + 1] ?? 0]
    if (series?.id.low !== low || series.id.high !== high || series.tenant !== tenant) {
      series = { tenant, id: { high, low }, partition: partitions[row] ?? 0 }
    }
    fold.add(series, tsMs[row] ?? NaN, values[row] ?? NaN, texts[row] ?? '', offsets[row] ?? 0)
  }
}

const inStretch = ({ partitions, startMs, spanMs }: Stretch): string =>
  `part IN (${partitions.join(',')}) AND ${within(startMs, startMs + spanMs)}`

/** In ms: ClickHouse 26.7 passes over parts where ms are compared with whole seconds. */
const within = (fromMs: number, toMs: number): string =>
  `ts >= fromUnixTimestamp64Milli(${fromMs}, 'UTC') AND ts < fromUnixTimestamp64Milli(${toMs}, 'UTC')`
