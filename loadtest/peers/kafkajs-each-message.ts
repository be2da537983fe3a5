/**
 * A peer of `bench rollup`: the consumer that the README of kafkajs shows, as somebody would write it
 * who wants the same tables. kafkajs as it comes, the registry's client for Avro, @clickhouse/client
 * with JSONEachRow. It commits as kafkajs does by itself, whether rows are written or not.
 *
 *   node kafkajs-each-message.js BROKERS REGISTRY_URL TOPIC GROUP CLICKHOUSE_URL DATABASE
 *
 * Says `ready` when it consumes, and `done` when the log as it was at the start is in the tables.
 */
import { createHash } from 'node:crypto'
import { createClient } from '@clickhouse/client'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka, logLevel } from 'kafkajs'

type Series = { metric: string; t0: number; dt: number[]; v: number[] }
type Telemetry = { tenant: string; device: string; numbers: Series[] }
type Place = Readonly<{ tenant: string; series: string; partition: number; offset: string }>
type Window = {
  tenant: string
  series: string
  /** Seconds since 1970. */
  w: number
  cnt: number
  sum: number
  mn: number
  mx: number
  first: number
  last: number
  first_ts: number
  last_ts: number
  part: number
  ver: string
}

const LATENESS_MS = 15_000
const FLUSH_ROWS = 50_000
const TABLES = new Map([
  [10_000, 'rollup_10s'],
  [60_000, 'rollup_1m'],
])

const [brokers = '', registryUrl = '', topic = '', groupId = '', url = '', database = ''] =
  process.argv.slice(2)
const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.ERROR })
const registry = new SchemaRegistry({ host: registryUrl })
const clickhouse = createClient({ url, database })

let samples: unknown[] = []
const series = new Map<string, string>()
const open = new Map([...TABLES.keys()].map((ms) => [ms, new Map<string, Window>()]))
const newestMs = new Map<number, number>()

function seriesOf(tenant: string, device: string, metric: string): string {
  const name = `${tenant}/${device}/${metric}`
  let id = series.get(name)
  if (id === undefined) {
    id = createHash('md5').update(name).digest().readBigUInt64BE(0).toString()
    series.set(name, id)
  }
  return id
}

function take(telemetry: Telemetry, partition: number, offset: string): void {
  const { tenant, device } = telemetry
  for (const { metric, t0, dt, v } of telemetry.numbers) {
    const place = { tenant, series: seriesOf(tenant, device, metric), partition, offset }
    for (const [k, delta] of dt.entries()) takeSample(place, t0 + delta, v[k] ?? 0)
  }
}

function takeSample(place: Place, ts: number, value: number): void {
  const { tenant, series, partition, offset } = place
  samples.push({ tenant, series, ts, value, part: partition, off: offset })
  for (const [resolutionMs, windows] of open) {
    const w = Math.floor(ts / resolutionMs) * (resolutionMs / 1000)
    const key = `${series}/${w}`
    const window = windows.get(key)
    if (window === undefined) {
      const [mn, mx, first, last, sum] = [value, value, value, value, value]
      const times = { first_ts: ts, last_ts: ts }
      const rest = { cnt: 1, part: partition, ver: offset }
      windows.set(key, { tenant, series, w, mn, mx, first, last, sum, ...times, ...rest })
    } else add(window, { ts, value, offset })
  }
  newestMs.set(partition, Math.max(newestMs.get(partition) ?? 0, ts))
}

function add(
  window: Window,
  { ts, value, offset }: Readonly<{ ts: number; value: number; offset: string }>,
): void {
  window.cnt += 1
  window.sum += value
  window.mn = Math.min(window.mn, value)
  window.mx = Math.max(window.mx, value)
  if (ts < window.first_ts) Object.assign(window, { first: value, first_ts: ts })
  if (ts >= window.last_ts) Object.assign(window, { last: value, last_ts: ts })
  window.ver = offset
}

/** Raw rows, and the windows that no sample in order can reach any more; at the end all of them. */
async function flush(all: boolean): Promise<void> {
  const format = 'JSONEachRow'
  await clickhouse.insert({ table: 'samples', values: samples, format })
  samples = []
  for (const [resolutionMs, windows] of open) {
    const closed: Window[] = []
    for (const [key, window] of windows) {
      const endMs = window.w * 1000 + resolutionMs
      if (!all && endMs + LATENESS_MS > (newestMs.get(window.part) ?? 0)) continue
      closed.push(window)
      windows.delete(key)
    }
    const table = TABLES.get(resolutionMs) ?? ''
    if (closed.length > 0) await clickhouse.insert({ table, values: closed, format })
  }
}

const admin = kafka.admin()
await admin.connect()
const ends = new Map(
  (await admin.fetchTopicOffsets(topic))
    .filter(({ low, high }) => low !== high)
    .map(({ partition, high }) => [partition, Number(high)]),
)
await admin.disconnect()

const consumer = kafka.consumer({ groupId })
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
process.send?.({ type: 'ready' })
await consumer.run({
  eachMessage: async ({ partition, message }) => {
    // Ticks of the pipeline have no key.
    if (message.key !== null && message.value !== null) {
      take(await registry.decode(message.value), partition, message.offset)
    }
    if (Number(message.offset) + 1 >= (ends.get(partition) ?? Infinity)) ends.delete(partition)
    const done = ends.size === 0
    if (!done && samples.length < FLUSH_ROWS) return
    await flush(done)
    if (done) process.send?.({ type: 'done' })
  },
})
