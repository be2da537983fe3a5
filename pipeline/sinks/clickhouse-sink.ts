/** The tables of migrations/clickhouse/, written as RowBinary. */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import { RowBinaryWriter } from '../../platform/clickhouse/row-binary.ts'
import type { RawRows, RollupRow } from '../window/rollup-row.ts'
import type { Series } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'
import { CELL_MS } from '../window/tumbling-windows.ts'
import { invHalvesOf } from '../window/window-version.ts'
import type { RollupSink, SampleVisitor, SeriesCells } from './rollup-sink.ts'

const SERIES_COLUMNS = ['tenant', 'device', 'metric', 'kind', 'series']
const SAMPLE_COLUMNS = [
  'tenant', 'series', 'ts', 'value', 'text', 'flags', 'part', 'off', 'inv',
] // prettier-ignore
const ROLLUP_COLUMNS = [
  'tenant', 'series', 'w', 'cnt', 'sum', 'mn', 'mx', 'first', 'last', 'first_ts', 'last_ts', 'm2',
  'integral', 'first_text', 'last_text', 'final', 'part', 'corrected_at', 'ver',
] // prettier-ignore

const TABLES: Readonly<Record<number, string>> = { 10_000: 'rollup_10s', 60_000: 'rollup_1m' }

/** Buffers handed to the driver; one insert is any number of them. */
const CHUNK_BYTES = 1 << 20

/** Ids and cells stand in the query's text, which the server's default ends at 256 KiB. */
const QUERY_BYTES_MAX = 10_000_000
/** After a restart every series is new once: a million of them is ten questions of 2 MB. */
const IDS_PER_QUESTION = 100_000

export function clickhouseSink(clickhouse: Clickhouse): RollupSink {
  const writer = new RowBinaryWriter(CHUNK_BYTES + 4096)

  async function insert(
    table: string,
    columns: readonly string[],
    write: (end: () => void) => void,
  ) {
    const rows: Buffer[] = []
    write(() => {
      if (writer.length >= CHUNK_BYTES) rows.push(writer.take())
    })
    rows.push(writer.take())
    await clickhouse.insert({ table, columns, rows })
  }

  return {
    insertSeries: (series) =>
      insert('series', SERIES_COLUMNS, (end) => {
        for (const each of series) {
          writeSeries(writer, each)
          end()
        }
      }),

    async collisions(series) {
      const names: string[] = []
      for (let at = 0; at < series.length; at += IDS_PER_QUESTION) {
        const ids = series.slice(at, at + IDS_PER_QUESTION).map(idOf)
        names.push(...(await collisionsAmong(clickhouse, ids)))
      }
      return names
    },

    insertSamples: (batches) =>
      insert('samples', SAMPLE_COLUMNS, (end) => {
        for (const batch of batches) writeSamples(writer, batch, end)
      }),

    async insertRollups(resolutionMs, rows) {
      const table = TABLES[resolutionMs]
      if (table === undefined) throw new Error(`no table for ${resolutionMs} ms`)
      await insert(table, ROLLUP_COLUMNS, (end) => {
        for (const row of rows) {
          writeRollup(writer, row)
          end()
        }
      })
    },

    async readSamples(cells, visit) {
      for (const [tenant, ofTenant] of byTenant(cells)) {
        await readTenantSamples(clickhouse, tenant, ofTenant, visit)
      }
    },
  }
}

async function collisionsAmong(clickhouse: Clickhouse, ids: readonly string[]): Promise<string[]> {
  const rows = await clickhouse.select<{ name: string }>(
    `SELECT concat(tenant, ' ', toString(series), ' ', toString(groupUniqArray((device, metric, kind)))) AS name
     FROM series WHERE series IN (${ids.join(',')})
     GROUP BY tenant, series HAVING uniqExact(device, metric, kind) > 1`,
    {},
    { settings: { max_query_size: String(QUERY_BYTES_MAX) } },
  )
  return rows.map((row) => row.name)
}

function writeSeries(writer: RowBinaryWriter, series: Series): void {
  writer.string(series.tenant)
  writer.string(series.device)
  writer.string(series.metric)
  writer.string(series.kind)
  writer.u64FromHalves(series.id.high, series.id.low)
}

function writeSamples(writer: RowBinaryWriter, batch: RawRows, end: () => void): void {
  for (let k = 0; k < batch.count; k += 1) {
    const series = batch.series[k]
    if (series === undefined) continue
    const offset = batch.offsets[k] ?? 0
    writer.string(series.tenant)
    writer.u64FromHalves(series.id.high, series.id.low)
    writer.dateTime64(batch.tsMs[k] ?? 0)
    writer.f64(batch.values[k] ?? 0)
    writer.string(batch.texts[k] ?? '')
    writer.u8(batch.flags[k] ?? 0)
    writer.u16(batch.partition)
    writer.u64FromNumber(offset)
    const inv = invHalvesOf(offset)
    writer.u64FromHalves(inv.high, inv.low)
    end()
  }
}

function writeRollup(writer: RowBinaryWriter, row: RollupRow): void {
  const { series, aggregate } = row
  writer.string(series.tenant)
  writer.u64FromHalves(series.id.high, series.id.low)
  writer.dateTime(row.startMs)
  writer.u32(aggregate.count)
  writer.f64(aggregate.sum)
  writer.f64(aggregate.min)
  writer.f64(aggregate.max)
  writer.f64(aggregate.first)
  writer.f64(aggregate.last)
  writer.dateTime64(aggregate.firstTsMs)
  writer.dateTime64(aggregate.lastTsMs)
  writer.f64(aggregate.m2)
  writer.f64(aggregate.integral)
  writer.string(aggregate.firstText)
  writer.string(aggregate.lastText)
  writer.u8(row.final ? 1 : 0)
  writer.u16(row.partition)
  writer.dateTime64(row.correctedAtMs)
  writer.u64FromNumber(row.version)
}

type SampleRow = Readonly<{ s: string; t: number; v: number; x: string }>

async function readTenantSamples(
  clickhouse: Clickhouse,
  tenant: string,
  cells: readonly SeriesCells[],
  visit: SampleVisitor,
): Promise<void> {
  const byId = new Map(cells.map(({ series }) => [idOf(series), series]))
  const starts = cells.flatMap((each) => each.cellStartsMs)
  const fromMs = starts.reduce((a, b) => Math.min(a, b), Infinity)
  const toMs = starts.reduce((a, b) => Math.max(a, b), 0) + CELL_MS
  const seconds = CELL_MS / 1000
  const pairs = cells.flatMap(({ series, cellStartsMs }) =>
    cellStartsMs.map((startMs) => `(${idOf(series)},${startMs / CELL_MS})`),
  )
  // Only numbers of ours stand in the text; it is too long for the address that carries parameters.
  const text = `
    SELECT toString(series) AS s, toUnixTimestamp64Milli(ts) AS t, value AS v, text AS x
    FROM samples FINAL
    WHERE tenant = {tenant:String} AND series IN (${[...byId.keys()].join(',')})
      AND ts >= fromUnixTimestamp64Milli(${fromMs}) AND ts < fromUnixTimestamp64Milli(${toMs})
      AND (series, intDiv(toUnixTimestamp(ts), ${seconds})) IN (${pairs.join(',')})
    ORDER BY series, ts`
  const settings = {
    output_format_json_quote_64bit_integers: 0,
    max_query_size: String(QUERY_BYTES_MAX),
  }
  for await (const rows of clickhouse.selectChunks<SampleRow>(text, { tenant }, { settings })) {
    for (const { s, t, v, x } of rows) {
      const series = byId.get(s)
      if (series !== undefined) visit(series, t, v, x)
    }
  }
}

const idOf = (series: Series): string => seriesIdAsBigint(series.id).toString()

function byTenant(cells: readonly SeriesCells[]): Map<string, SeriesCells[]> {
  const groups = new Map<string, SeriesCells[]>()
  for (const each of cells) {
    const group = groups.get(each.series.tenant)
    if (group === undefined) groups.set(each.series.tenant, [each])
    else group.push(each)
  }
  return groups
}
