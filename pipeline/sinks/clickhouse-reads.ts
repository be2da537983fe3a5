/**
 * What the pipeline reads back: raw samples to correct windows from, and windows to merge into
 * larger ones. Rows arrive as blocks of columns, ordered by series and time.
 */
import type { Clickhouse, Settings } from '../../platform/clickhouse/clickhouse.ts'
import type { NativeColumns } from '../../platform/clickhouse/native-reader.ts'
import { tableTtlDays } from '../../platform/clickhouse/table-ttl.ts'
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { Series, SeriesRef } from '../window/series.ts'
import { CELL_MS } from '../window/tumbling-windows.ts'
import type { ChildQuery, ParentQuery, RowFold, SampleFold, SeriesCells } from './rollup-sink.ts'
import { idOf, MANY_IDS, rollupTable } from './rollup-tables.ts'

const SETTINGS: Settings = { ...MANY_IDS }

export async function readSamples<F extends SampleFold>(
  clickhouse: Clickhouse,
  cells: readonly SeriesCells[],
  begin: () => F,
): Promise<F> {
  const fold = begin()
  for (const [tenant, ofTenant] of byTenant(cells)) {
    await clickhouse.selectNative(
      // Only numbers of ours stand in the text; it is too long for the address that carries parameters.
      `SELECT series, ts, value, text FROM samples FINAL
       WHERE tenant = {tenant:String} AND ${inCells('ts', ofTenant, CELL_MS)}
       ORDER BY series, ts`,
      { tenant },
      { settings: SETTINGS, onBlock: sampleVisitor(ofTenant, fold) },
    )
  }
  return fold
}

function sampleVisitor(cells: readonly SeriesCells[], fold: SampleFold) {
  const byId = new Map<string, Series>(cells.map(({ series }) => [keyOf(series.id), series]))
  return (block: NativeColumns): void => {
    const ids = block.u64Words('series')
    const [tsMs, values, texts] = [block.timeMs('ts'), block.f64('value'), block.string('text')]
    let series: Series | undefined
    for (let row = 0; row < block.rows; row += 1) {
      const [low, high] = [ids[2 * row] ?? 0, ids[2 * row + 1] ?? 0]
      if (series?.id.low !== low || series.id.high !== high) series = byId.get(keyOf({ high, low }))
      if (series !== undefined) {
        fold.add(series, tsMs[row] ?? NaN, values[row] ?? NaN, texts[row] ?? '')
      }
    }
  }
}

/** Children disappear at their own times: for so long before it, a parent may be without some. */
const EXPIRY_MARGIN_S = 2 * 3600

/** Parents whose children have begun to expire are left out: merged again they would hold less. */
export async function readParentStarts(
  clickhouse: Clickhouse,
  { childMs, parentMs, partitions, fromMs, toMs }: ParentQuery,
): Promise<readonly number[]> {
  const seconds = parentMs / 1000
  const days = (await tableTtlDays(clickhouse)).get(rollupTable(childMs)) ?? Infinity
  const isWhole = Number.isFinite(days)
    ? `n * ${seconds} >= toUnixTimestamp(now() - INTERVAL ${days} DAY) + ${EXPIRY_MARGIN_S}`
    : '1'
  const rows = await clickhouse.select<{ n: number }>(
    `SELECT DISTINCT intDiv(toUnixTimestamp(w), ${seconds}) AS n FROM ${rollupTable(childMs)}
     WHERE part IN (${partitions.join(',')}) AND ${between('w', fromMs, toMs)}
       AND ${isWhole} ORDER BY n`,
  )
  return rows.map(({ n }) => n * parentMs)
}

const ROLLUP_COLUMNS = `tenant, series, w, cnt, sum, mn, mx, first, last, first_ts, last_ts, m2,
  integral, sketch, first_text, last_text, final, part, corrected_at, ver`

export async function readRollups<F extends RowFold>(
  clickhouse: Clickhouse,
  query: ChildQuery,
  begin: () => F,
): Promise<F> {
  const { childMs, parentMs } = query
  const fold = begin()
  const read = (condition: string, parameters: Readonly<Record<string, string>>) =>
    clickhouse.selectNative(
      `SELECT ${ROLLUP_COLUMNS} FROM ${rollupTable(childMs)} FINAL
       WHERE ${condition} ORDER BY tenant, series, w`,
      parameters,
      {
        settings: SETTINGS,
        onBlock: async (block) => {
          addRows(block, childMs, fold)
          await fold.relieve()
        },
      },
    )
  if ('partitions' in query) {
    const { partitions, startMs, endMs = startMs + parentMs } = query
    const inParent = between('w', startMs, endMs)
    await read(`part IN (${partitions.join(',')}) AND ${inParent}`, {})
    return fold
  }
  for (const [tenant, cells] of byTenant(query.cells)) {
    await read(`tenant = {tenant:String} AND ${inCells('w', cells, parentMs)}`, { tenant })
  }
  return fold
}

function addRows(block: NativeColumns, resolutionMs: number, fold: RowFold): void {
  const tenants = block.lowCardinality('tenant')
  const ids = block.u64Words('series')
  const starts = block.timeMs('w')
  const [finals, partitions] = [block.u8('final'), block.u16('part')]
  const [corrected, versions] = [block.timeMs('corrected_at'), block.u64AsNumbers('ver')]
  const contentAt = contentReader(block)
  let series: SeriesRef | undefined
  for (let row = 0; row < block.rows; row += 1) {
    const tenant = tenants.dictionary[tenants.indexes[row] ?? 0] ?? ''
    const [low, high] = [ids[2 * row] ?? 0, ids[2 * row + 1] ?? 0]
    if (series?.id.low !== low || series.id.high !== high || series.tenant !== tenant) {
      series = { tenant, id: { high, low } }
    }
    fold.add({
      series,
      partition: partitions[row] ?? 0,
      resolutionMs,
      startMs: starts[row] ?? NaN,
      aggregate: contentAt(row),
      final: finals[row] === 1,
      correctedAtMs: corrected[row] ?? 0,
      version: versions[row] ?? 0,
    })
  }
}

function contentReader(block: NativeColumns): (row: number) => WindowPart {
  const [counts, sums] = [block.u32('cnt'), block.f64('sum')]
  const [mins, maxs] = [block.f64('mn'), block.f64('mx')]
  const [firsts, lasts] = [block.f64('first'), block.f64('last')]
  const [firstTs, lastTs] = [block.timeMs('first_ts'), block.timeMs('last_ts')]
  const [m2s, integrals] = [block.f64('m2'), block.f64('integral')]
  const [firstTexts, lastTexts] = [block.string('first_text'), block.string('last_text')]
  const sketches = block.mapI16U32('sketch')
  return (row) => {
    const sketch = new Map<number, number>()
    const end = sketches.ends[row] ?? 0
    for (let n = row === 0 ? 0 : (sketches.ends[row - 1] ?? 0); n < end; n += 1) {
      sketch.set(sketches.keys[n] ?? 0, sketches.values[n] ?? 0)
    }
    return {
      count: counts[row] ?? 0,
      sum: sums[row] ?? 0,
      min: mins[row] ?? 0,
      max: maxs[row] ?? 0,
      first: firsts[row] ?? 0,
      last: lasts[row] ?? 0,
      firstTsMs: firstTs[row] ?? 0,
      lastTsMs: lastTs[row] ?? 0,
      m2: m2s[row] ?? 0,
      integral: integrals[row] ?? 0,
      firstText: firstTexts[row] ?? '',
      lastText: lastTexts[row] ?? '',
      sketch,
    }
  }
}

/** A condition that holds for the times of these cells of these series, all of one tenant. */
function inCells<S extends SeriesRef>(
  time: string,
  cells: readonly SeriesCells<S>[],
  cellMs: number,
): string {
  let [fromMs, toMs] = [Infinity, 0]
  const pairs: string[] = []
  for (const { series, cellStartsMs } of cells) {
    const id = idOf(series)
    for (const startMs of cellStartsMs) {
      fromMs = Math.min(fromMs, startMs)
      toMs = Math.max(toMs, startMs + cellMs)
      pairs.push(`(${id},${startMs / cellMs})`)
    }
  }
  return `series IN (${cells.map(({ series }) => idOf(series)).join(',')})
    AND ${between(time, fromMs, toMs)}
    AND (series, intDiv(toUnixTimestamp(${time}), ${cellMs / 1000})) IN (${pairs.join(',')})`
}

/**
 * In ms: against a DateTime in whole seconds the index of ClickHouse 26.7 reads `ts < :21:00` as
 * `ts <= :20:59`, and passes over a part that holds only samples of the cell's last second.
 */
const between = (time: string, fromMs: number, toMs: number): string =>
  `${time} >= fromUnixTimestamp64Milli(${fromMs}, 'UTC')
   AND ${time} < fromUnixTimestamp64Milli(${toMs}, 'UTC')`

const keyOf = ({ high, low }: Readonly<{ high: number; low: number }>): string => `${high} ${low}`

function byTenant<S extends SeriesRef>(
  cells: readonly SeriesCells<S>[],
): Map<string, SeriesCells<S>[]> {
  const groups = new Map<string, SeriesCells<S>[]>()
  for (const each of cells) {
    const group = groups.get(each.series.tenant)
    if (group === undefined) groups.set(each.series.tenant, [each])
    else group.push(each)
  }
  return groups
}
