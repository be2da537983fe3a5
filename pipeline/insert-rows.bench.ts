/**
 * What it costs to write raw rows and nothing else: batches as a flush hands them over, made
 * beforehand, through the sink of the pipeline. `bench rollup` runs it, and adds the server's part.
 *
 *   node insert-rows.bench.js CLICKHOUSE_URL DATABASE ROWS
 *
 * Says `ready` when the rows are made, then writes them, then says `done` with its CPU seconds.
 */
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { clickhouseSink } from './sinks/clickhouse-sink.ts'
import { RawRows } from './window/raw-rows.ts'
import { Series } from './window/series.ts'

const PARTITIONS = 8
/** Of one partition in one flush, as a pipeline that is far behind has them. */
const BATCH_ROWS = 25_000
const SERIES_PER_PARTITION = 1_250
const START_MS = 1_700_000_000_000
const SECOND_MS = 1000

const [url = '', database = '', rowsWanted = '2000000'] = process.argv.slice(2)
const flushCount = Math.ceil(Number(rowsWanted) / (PARTITIONS * BATCH_ROWS))

const series = Array.from({ length: PARTITIONS }, (_, partition) =>
  Array.from(
    { length: SERIES_PER_PARTITION },
    (_, n) => new Series('bench', `bench-${partition}-${n >> 1}`, `metric-${n & 1}`, 'number', n),
  ),
)

/** In the order of the log: all series of a second, then the next. */
function batch(partition: number, flush: number): RawRows {
  const rows = new RawRows(partition, BATCH_ROWS)
  const own = series[partition] ?? []
  for (let n = 0; n < BATCH_ROWS; n += 1) {
    const at = flush * BATCH_ROWS + n
    const of = own[at % own.length]
    if (of === undefined) throw new RangeError(`no series for row ${at}`)
    rows.add(of, START_MS + Math.floor(at / own.length) * SECOND_MS, (at * 7) % 1000, at >> 1, 0)
  }
  return rows
}

const flushes = Array.from({ length: flushCount }, (_, flush) =>
  Array.from({ length: PARTITIONS }, (_, partition) => batch(partition, flush)),
)
const clickhouse = new Clickhouse({ url, database, user: 'default', password: '' })
const sink = clickhouseSink(clickhouse)
await clickhouse.ping()
process.send?.({ type: 'ready' })
const before = process.cpuUsage()
for (const batches of flushes) await sink.insertSamples(batches)
const { user, system } = process.cpuUsage(before)
await clickhouse.close()
const rows = flushCount * PARTITIONS * BATCH_ROWS
process.send?.({ type: 'done', rows, cpuS: (user + system) / 1e6 })
// Whoever measures the server reads it before this process goes.
process.on('SIGTERM', () => process.exit(0))
