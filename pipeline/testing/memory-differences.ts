/** Compares tables in memory with brute force over the log, bit for bit. For tests. */
import { type Expected, placeOf, rollupKey } from './brute-force.ts'
import type { MemorySink } from './memory-sink.ts'
import { Series } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'
import { CASCADES, RESOLUTIONS_MS } from '../window/tumbling-windows.ts'

/** What is wrong with samples and folded windows, if anything. */
export function difference(expected: Expected, sink: MemorySink): string | undefined {
  const rollups = new Set<string>()
  for (const [key, times] of expected.samples) {
    const series = seriesFrom(key)
    const stored = sink
      .samples(series)
      .map(({ tsMs, value, text, offset }) => ({ tsMs, value, text, offset }))
    const wanted = [...times.values()].sort((a, b) => a.tsMs - b.tsMs)
    if (!same(stored, wanted)) return `samples of ${key}: ${show(stored)} not ${show(wanted)}`
    for (const tsMs of times.keys()) {
      for (const size of RESOLUTIONS_MS) {
        const startMs = tsMs - (tsMs % size)
        const row = sink.rollup(series, size, startMs)
        const aggregate = expected.rollups.get(rollupKey(key, size, startMs))
        rollups.add(`${series.tenant} ${seriesIdAsBigint(series.id)} ${size} ${startMs}`)
        if (row === undefined) return `missing: ${key} ${size} ${startMs}`
        if (!same(row.aggregate, aggregate)) {
          return `${key} ${size} ${startMs}: ${show(row.aggregate)} not ${show(aggregate)}`
        }
      }
    }
  }
  if (sink.sampleSeriesCount !== expected.samples.size) return 'invented a series'
  const cascaded = new Set<number>(CASCADES.map(({ parentMs }) => parentMs))
  const invented = sink.rollupKeys.find(
    (key) => !rollups.has(key) && !cascaded.has(Number(key.split(' ').at(-2))),
  )
  return invented === undefined ? undefined : `invented: ${invented}`
}

/** Hours and days that have ended by C are what their children make of them. */
export function cascadeDifference(
  expected: Expected,
  sink: MemorySink,
  closedToMs: number,
): string | undefined {
  for (const [key, state] of expected.cascades) {
    const { series, resolutionMs, startMs } = placeOf(key)
    // An owner that closed earlier may have written it before; it will be written again.
    if (startMs + resolutionMs > closedToMs) continue
    const row = sink.rollup(seriesFrom(series), resolutionMs, startMs)
    if (row === undefined) return `missing: ${key}`
    if (!same(row.aggregate, state)) return `${key}: ${show(row.aggregate)} not ${show(state)}`
  }
  return undefined
}

function seriesFrom(key: string): Series {
  const [tenant = '', device = '', metric = '', kind = ''] = key.split('/')
  return new Series(tenant, device, metric, kind as Series['kind']) // The oracle wrote it so.
}

/** Bit for bit: numbers print with all their digits, and -0 is told from 0. */
const show = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) =>
    Object.is(v, -0) ? '-0' : v instanceof Map ? [...v].sort(([a], [b]) => a - b) : v,
  )
const same = (a: unknown, b: unknown): boolean => show(a) === show(b)
