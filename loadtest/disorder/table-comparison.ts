/**
 * Whether two databases hold the same final tables: every table that the migrations make, as FINAL
 * shows it, in the order of its key, every column but those that say where and when a row came
 * from. ClickHouse prints a double with all it takes to read the same one back, so equal text is
 * equal bits.
 */
import { createHash } from 'node:crypto'
import { type ClickHousePlace, queryRows, queryText } from '../clickhouse-query.ts'

/** Of these tables nothing is compared: they hold no telemetry. */
const OTHER_TABLES = ['audit_hours', 'schema_migrations', 'series_salt']
/**
 * Of rollups, `part`, `ver` and `corrected_at`: which partition's owner wrote the row, as of which
 * offset, and when a late sample had it written again. Raw rows and message numbers name the record
 * they came in, `part` and `off`, and are versioned by it, `inv`: another order is other records.
 */
export const LEFT_OUT = ['part', 'ver', 'corrected_at', 'off', 'inv']

const COLUMNS_SHOWN = 3

export type TableVerdict = Readonly<{
  table: string
  rows: number
  bytes: number
  /** SHA-256 of the rows of each run, in hex. */
  hashes: readonly [string, string]
  columns: readonly string[]
  /** Rows that a correction wrote, in each run; of rollups only. */
  corrected: readonly [number, number] | undefined
  /** The first difference as a sentence. */
  difference: string | undefined
}>

/** `expected` and `actual` must have been migrated alike. */
export async function compareTables(
  expected: ClickHousePlace,
  actual: ClickHousePlace,
): Promise<TableVerdict[]> {
  const tables = await queryRows(expected, {
    sql: `SELECT name, sorting_key FROM system.tables
      WHERE database = {database:String} AND name NOT IN (${quotedList(OTHER_TABLES)}) ORDER BY name`,
    parameters: { database: expected.database },
  })
  const verdicts: TableVerdict[] = []
  for (const [table, key] of tables) {
    verdicts.push(await compareTable(String(table), String(key), { expected, actual }))
  }
  return verdicts
}

type Places = Readonly<{ expected: ClickHousePlace; actual: ClickHousePlace }>

async function compareTable(
  table: string,
  sortingKey: string,
  { expected, actual }: Places,
): Promise<TableVerdict> {
  const all = (
    await queryRows(expected, {
      sql: `SELECT name FROM system.columns
        WHERE database = {database:String} AND table = {table:String} ORDER BY position`,
      parameters: { database: expected.database, table },
    })
  ).map(([name]) => String(name))
  const columns = all.filter((name) => !LEFT_OUT.includes(name))
  const sql = `SELECT ${columns.join(', ')} FROM ${table} FINAL
    ORDER BY ${sortingKey} FORMAT TabSeparated`
  const dumps = [await queryText(expected, { sql }), await queryText(actual, { sql })] as const
  const corrected = all.includes('corrected_at')
    ? ([await correctedRows(expected, table), await correctedRows(actual, table)] as const)
    : undefined
  return {
    ...{ table, columns, corrected },
    rows: linesOf(dumps[0]).length,
    bytes: Buffer.byteLength(dumps[0]),
    hashes: [sha256(dumps[0]), sha256(dumps[1])],
    difference: firstDifference(dumps, { columns, key: sortingKey.split(', ') }),
  }
}

async function correctedRows(place: ClickHousePlace, table: string): Promise<number> {
  const sql = `SELECT toUInt32(count()) FROM ${table} FINAL WHERE corrected_at > toDateTime64(0, 3, 'UTC')`
  const [row = []] = await queryRows(place, { sql })
  return Number(row[0])
}

function firstDifference(
  [expected, actual]: readonly [string, string],
  { columns, key }: Readonly<{ columns: readonly string[]; key: readonly string[] }>,
): string | undefined {
  if (expected === actual) return undefined
  const [wanted, found] = [linesOf(expected), linesOf(actual)]
  const row = wanted.findIndex((line, index) => line !== found[index])
  const at = row < 0 ? wanted.length : row
  const [wantedRow, foundRow] = [wanted[at], found[at]].map((line) => cellsOf(columns, line))
  const [wantedKey, foundKey] = [wantedRow, foundRow].map((cells) => placeOf(key, cells))
  if (wantedKey !== foundKey) {
    const counts = `${found.length} rows instead of ${wanted.length}`
    return `row ${at} is ${foundKey} instead of ${wantedKey}; ${counts}`
  }
  const differing = columns.filter((name) => wantedRow?.get(name) !== foundRow?.get(name))
  const shown = differing
    .slice(0, COLUMNS_SHOWN)
    .map((name) => `${name} is ${foundRow?.get(name)} instead of ${wantedRow?.get(name)}`)
  const others = differing.slice(COLUMNS_SHOWN)
  if (others.length > 0) shown.push(`also ${others.join(', ')}`)
  return `row ${at} (${wantedKey}): ${shown.join('; ')}`
}

type Cells = ReadonlyMap<string, string>

function cellsOf(columns: readonly string[], line: string | undefined): Cells | undefined {
  const cells = line?.split('\t')
  return cells && new Map(columns.map((name, c) => [name, cells[c] ?? '']))
}

const placeOf = (key: readonly string[], cells: Cells | undefined): string =>
  cells === undefined ? 'nothing' : key.map((name) => `${name} ${cells.get(name)}`).join(', ')

const linesOf = (dump: string): string[] => dump.split('\n').slice(0, -1)
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const quotedList = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ')
