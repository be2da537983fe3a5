/** Which table holds which windows, and how ids stand in the text of a statement. */
import type { SeriesRef } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'

const TABLES: Readonly<Record<number, string>> = {
  10_000: 'rollup_10s',
  60_000: 'rollup_1m',
  3_600_000: 'rollup_1h',
  86_400_000: 'rollup_1d',
}

export function rollupTable(resolutionMs: number): string {
  const table = TABLES[resolutionMs]
  if (table === undefined) throw new RangeError(`no table for windows of ${resolutionMs} ms`)
  return table
}

export const idOf = (series: SeriesRef): string => seriesIdAsBigint(series.id).toString()

/** Ids and cells stand in the statement's text, which the server's default ends at 256 KiB. */
export const MANY_IDS = { max_query_size: '10000000' } as const
