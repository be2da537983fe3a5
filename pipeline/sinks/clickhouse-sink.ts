/** The tables of migrations/clickhouse/, as the port of the pipeline. */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { NativeBlock } from '../../platform/clickhouse/native-writer.ts'
import type { Series } from '../window/series.ts'
import { readParentStarts, readRollups, readSamples } from './clickhouse-reads.ts'
import { messageBlock, rollupBlock, sampleBlock, seriesBlock } from './native-blocks.ts'
import { idOf, MANY_IDS, rollupTable } from './rollup-tables.ts'
import type { RollupSink } from './rollup-sink.ts'

/** After a restart every series is new once: a million of them is ten questions of 2 MB. */
const IDS_PER_QUESTION = 100_000

export function clickhouseSink(clickhouse: Clickhouse): RollupSink {
  const insert = (table: string, blocks: readonly NativeBlock[]): Promise<void> =>
    clickhouse.insertNative({ table, blocks })

  return {
    insertSeries: (series) => insert('series', [seriesBlock(series)]),

    async collisions(series) {
      const names: string[] = []
      for (let at = 0; at < series.length; at += IDS_PER_QUESTION) {
        names.push(...(await collisionsAmong(clickhouse, series.slice(at, at + IDS_PER_QUESTION))))
      }
      return names
    },

    insertSamples(batches) {
      const withShifts = batches.some(({ shiftsMs }) => shiftsMs.size > 0)
      return insert(
        'samples',
        batches.map((raw) => sampleBlock(raw, withShifts)),
      )
    },

    insertMessages: (messages) => insert('message_numbers', [messageBlock(messages)]),

    async insertRollups(batches) {
      const size = batches[0]?.resolutionMs
      if (size !== undefined) await insert(rollupTable(size), batches.map(rollupBlock))
    },

    readSamples: (cells, begin) => readSamples(clickhouse, cells, begin),
    parentStarts: (query) => readParentStarts(clickhouse, query),
    readRollups: (query, begin) => readRollups(clickhouse, query, begin),
  }
}

async function collisionsAmong(
  clickhouse: Clickhouse,
  series: readonly Series[],
): Promise<string[]> {
  const rows = await clickhouse.select<{ name: string }>(
    `SELECT concat(tenant, ' ', toString(series), ' ', toString(groupUniqArray((device, metric, kind)))) AS name
     FROM series WHERE series IN (${series.map(idOf).join(',')})
     GROUP BY tenant, series HAVING uniqExact(device, metric, kind) > 1`,
    {},
    { settings: MANY_IDS },
  )
  return rows.map((row) => row.name)
}
