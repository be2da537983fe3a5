/** Compares the tables of ClickHouse with brute force over the log, bit for bit. For tests. */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { WindowState } from '../../schemas/window-merge.ts'
import { type Expected, rollupKey } from './brute-force.ts'

/** What differs; empty when all is exact. */
export async function tableDifferences(
  clickhouse: Clickhouse,
  expected: Expected,
): Promise<string[]> {
  return [
    ...(await sampleDifferences(clickhouse, expected)),
    ...(await rollupDifferences(clickhouse, expected)),
  ]
}

const NAME = `concat(s.tenant, '/', s.device, '/', s.metric, '/', s.kind)`
const NUMBERS = { settings: { output_format_json_quote_64bit_integers: 0 } }

async function sampleDifferences(clickhouse: Clickhouse, expected: Expected): Promise<string[]> {
  type Row = { name: string; t: number; value: number; text: string; off: number }
  const rows = await clickhouse.select<Row>(
    `SELECT ${NAME} AS name, toUnixTimestamp64Milli(r.ts) AS t, r.value AS value,
       r.text AS text, r.off AS off
     FROM (SELECT * FROM samples FINAL) AS r
     JOIN (SELECT * FROM series FINAL) AS s ON r.tenant = s.tenant AND r.series = s.series`,
    {},
    NUMBERS,
  )
  const stored = new Map(rows.map((r) => [`${r.name} ${r.t}`, [r.value, r.text, r.off]]))
  const wanted = new Map(
    [...expected.samples].flatMap(([name, times]) =>
      [...times.values()].map((s) => [`${name} ${s.tsMs}`, [s.value, s.text, s.offset]] as const),
    ),
  )
  return compared(stored, wanted)
}

const TABLES = [
  ['rollup_10s', 10_000],
  ['rollup_1m', 60_000],
  ['rollup_1h', 3_600_000],
  ['rollup_1d', 86_400_000],
] as const

/** Hours and days are compared where the table has them: whether it must is up to the watermark. */
async function rollupDifferences(clickhouse: Clickhouse, expected: Expected): Promise<string[]> {
  const stored = new Map<string, readonly unknown[]>()
  for (const [table, sizeMs] of TABLES) {
    type Row = { name: string; start: number; fields: readonly unknown[] }
    const rows = await clickhouse.select<Row>(
      `SELECT ${NAME} AS name, toUnixTimestamp(r.w) * 1000 AS start,
         (r.cnt, r.sum, r.mn, r.mx, r.first, r.last, toUnixTimestamp64Milli(r.first_ts),
           toUnixTimestamp64Milli(r.last_ts), r.m2, r.integral, r.first_text, r.last_text,
           arraySort(mapKeys(r.sketch)), arrayMap(k -> r.sketch[k], arraySort(mapKeys(r.sketch)))
         ) AS fields
       FROM (SELECT * FROM ${table} FINAL) AS r
       JOIN (SELECT * FROM series FINAL) AS s ON r.tenant = s.tenant AND r.series = s.series`,
      {},
      NUMBERS,
    )
    for (const { name, start, fields } of rows) stored.set(rollupKey(name, sizeMs, start), fields)
  }
  const wanted = new Map([...expected.rollups].map(([key, state]) => [key, fieldsOf(state)]))
  for (const [key, state] of expected.cascades) {
    if (stored.has(key)) wanted.set(key, fieldsOf(state))
  }
  return compared(stored, wanted)
}

function fieldsOf(s: WindowState): readonly unknown[] {
  const bins = [...s.sketch].sort(([a], [b]) => a - b)
  return [
    ...[s.count, s.sum, s.min, s.max, s.first, s.last, s.firstTsMs, s.lastTsMs, s.m2, s.integral],
    ...[s.firstText, s.lastText, bins.map(([bin]) => bin), bins.map(([, count]) => count)],
  ]
}

/** Bit for bit: JSON prints a double with all it takes to read the same one back. */
function compared(
  stored: ReadonlyMap<string, readonly unknown[]>,
  wanted: ReadonlyMap<string, readonly unknown[]>,
): string[] {
  const wrong: string[] = []
  for (const [key, value] of wanted) {
    const found = stored.get(key)
    if (JSON.stringify(found) !== JSON.stringify(value)) {
      wrong.push(`${key}: ${JSON.stringify(found)} not ${JSON.stringify(value)}`)
    }
  }
  for (const key of stored.keys()) if (!wanted.has(key)) wrong.push(`invented ${key}`)
  return wrong
}
