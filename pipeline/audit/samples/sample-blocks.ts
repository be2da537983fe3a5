/** Rows of the raw table out of blocks of columns: what most of an audit's time goes into. */
import type { NativeColumns } from '../../../platform/clickhouse/native-reader.ts'
import { seriesIdAsBigint } from '../../window/series-id.ts'
import type { StoredSample } from './slice.ts'

export const SAMPLE_COLUMNS = 'tenant, series, ts, value, text, part, off'

/** Visits the rows of a block that selected SAMPLE_COLUMNS. */
export function forEachSample(block: NativeColumns, visit: (row: StoredSample) => void): void {
  const tenants = block.lowCardinality('tenant')
  const ids = block.u64Words('series')
  const [tsMs, values, texts] = [block.timeMs('ts'), block.f64('value'), block.string('text')]
  const [partitions, offsets] = [block.u16('part'), block.u64AsNumbers('off')]
  // Rows come series by series: the id is spelled once for each.
  let [low, high, series] = [-1, -1, '']
  for (let row = 0; row < block.rows; row += 1) {
    if (ids[2 * row] !== low || ids[2 * row + 1] !== high) {
      ;[low, high] = [ids[2 * row] ?? 0, ids[2 * row + 1] ?? 0]
      series = seriesIdAsBigint({ high, low }).toString()
    }
    visit({
      tenant: tenants.dictionary[tenants.indexes[row] ?? 0] ?? '',
      series,
      tsMs: tsMs[row] ?? NaN,
      value: values[row] ?? NaN,
      text: texts[row] ?? '',
      partition: partitions[row] ?? 0,
      offset: offsets[row] ?? 0,
    })
  }
}
