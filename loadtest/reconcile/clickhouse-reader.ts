/** Reads everything that is stored of some devices, straight from the tables. */
import { type ClickHousePlace, queryRows } from '../clickhouse-query.ts'
import type { SeriesSample } from './brute-windows.ts'
import type { SeriesKind, StoredSeries, StoredWindow } from './compare.ts'

const TABLES: readonly Readonly<{ name: string; windowMs: number }>[] = [
  { name: 'rollup_10s', windowMs: 10_000 },
  { name: 'rollup_1m', windowMs: 60_000 },
]

/** Every series of the devices whose id starts with `devicePrefix`, with its samples and windows. */
export async function readStored(
  place: ClickHousePlace,
  devicePrefix: string,
): Promise<StoredSeries[]> {
  const named = await queryRows(place, {
    sql: `SELECT toString(series), device, metric, kind FROM series FINAL
      WHERE startsWith(device, {prefix:String})`,
    parameters: { prefix: devicePrefix },
  })
  const samples = await readSamples(place, devicePrefix)
  const windows = await Promise.all(
    TABLES.map(async ({ name, windowMs }) => ({
      windowMs,
      bySeries: await readWindows(place, name, devicePrefix),
    })),
  )
  return named.map(([id = '', device = '', metric = '', kind]) => ({
    device: String(device),
    metric: String(metric),
    kind: seriesKind(kind),
    samples: samples.get(String(id)) ?? [],
    windows: new Map(
      windows.map(({ windowMs, bySeries }) => [windowMs, bySeries.get(String(id)) ?? []]),
    ),
  }))
}

const OF_DEVICES = `(tenant, series) IN
  (SELECT tenant, series FROM series WHERE startsWith(device, {prefix:String}))`

async function readSamples(
  place: ClickHousePlace,
  prefix: string,
): Promise<Map<string, SeriesSample[]>> {
  const bySeries = new Map<string, SeriesSample[]>()
  const found = await queryRows(place, {
    sql: `SELECT toString(series), toUnixTimestamp64Milli(ts), value, text FROM samples FINAL
      WHERE ${OF_DEVICES} ORDER BY series, ts`,
    parameters: { prefix },
  })
  for (const [id, ts, value, text] of found) {
    listOf(bySeries, String(id)).push({ ts: Number(ts), value: Number(value), text: String(text) })
  }
  return bySeries
}

async function readWindows(
  place: ClickHousePlace,
  table: string,
  prefix: string,
): Promise<Map<string, StoredWindow[]>> {
  const bySeries = new Map<string, StoredWindow[]>()
  const found = await queryRows(place, {
    sql: `SELECT toString(series), toUnixTimestamp(w), cnt, sum, mn, mx, first, last, first_text,
      last_text FROM ${table} FINAL WHERE ${OF_DEVICES} ORDER BY series, w`,
    parameters: { prefix },
  })
  for (const [id, startS, ...row] of found) {
    const [count = 0, sum = 0, min = 0, max = 0, first = 0, last = 0] = row.map(Number)
    const [firstText, lastText] = [String(row[6]), String(row[7])]
    const start = Number(startS) * 1000
    const window = { start, count, sum, min, max, first, last, firstText, lastText }
    listOf(bySeries, String(id)).push(window)
  }
  return bySeries
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? []
  lists.set(key, list)
  return list
}

function seriesKind(text: unknown): SeriesKind {
  return text === 'number' || text === 'boolean' ? text : 'text'
}
