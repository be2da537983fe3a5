/**
 * The oracle of the tests: what the tables must hold for a log, computed the obvious way and
 * without any of the fold's state. Of the fold it shares only the arithmetic over one window.
 */
import type { Series as Entry, Telemetry } from '../../schemas/telemetry.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'
import { Aggregate } from '../window/aggregate.ts'
import { RESOLUTIONS_MS } from '../window/tumbling-windows.ts'

/** `record` is undefined where the bytes in the log are no telemetry. */
export type LoggedRecord = Readonly<{
  offset: number
  appendMs: number
  record: Telemetry | undefined
}>
export type ExpectedSample = Readonly<{ tsMs: number; value: number; text: string; offset: number }>
export type Expected = Readonly<{
  /** By `series` and then time. */
  samples: ReadonlyMap<string, ReadonlyMap<number, ExpectedSample>>
  /** By `series resolution start`. */
  rollups: ReadonlyMap<string, Aggregate>
}>

export const rollupKey = (series: string, resolutionMs: number, startMs: number): string =>
  `${series} ${resolutionMs} ${startMs}`

export const seriesKey = (
  name: Readonly<{ tenant: string; device: string; metric: string; kind: SeriesKind }>,
): string => `${name.tenant}/${name.device}/${name.metric}/${name.kind}`

export function bruteForce(log: readonly LoggedRecord[], acceptedAgeMs: number): Expected {
  const samples = new Map<string, Map<number, ExpectedSample>>()
  for (const { offset, appendMs, record } of log) {
    if (record === undefined) continue
    const latestMs = Math.min(record.recvTs, appendMs) + 60_000
    for (const { series, tsMs, value, text } of flatSamples(record)) {
      if (tsMs > latestMs || tsMs < 0 || appendMs - tsMs > acceptedAgeMs) continue
      if (!Number.isFinite(value)) continue
      const times = samples.get(series) ?? new Map<number, ExpectedSample>()
      samples.set(series, times)
      if (!times.has(tsMs)) times.set(tsMs, { tsMs, value, text, offset })
    }
  }
  return { samples, rollups: foldAll(samples) }
}

function foldAll(samples: Expected['samples']): Map<string, Aggregate> {
  const rollups = new Map<string, Aggregate>()
  for (const [series, times] of samples) {
    const inOrder = [...times.values()].sort((a, b) => a.tsMs - b.tsMs)
    for (const { tsMs, value, text } of inOrder) {
      for (const size of RESOLUTIONS_MS) {
        const key = rollupKey(series, size, tsMs - (tsMs % size))
        const aggregate = rollups.get(key) ?? new Aggregate()
        rollups.set(key, aggregate)
        if (series.endsWith('/text')) aggregate.addText(tsMs, text)
        else aggregate.addNumber(tsMs, value)
      }
    }
  }
  return rollups
}

type FlatSample = { series: string; tsMs: number; value: number; text: string }

function flatSamples({ tenant, device, numbers, booleans, strings }: Telemetry): FlatSample[] {
  const flat = <V>(entries: Entry<V>[], kind: SeriesKind, read: (v: V) => [number, string]) =>
    entries.flatMap(({ metric, t0, dt, v }) =>
      v.map((each, k) => {
        const [value, text] = read(each)
        const series = seriesKey({ tenant, device, metric, kind })
        return { series, tsMs: t0 + (dt[k] ?? NaN), value, text }
      }),
    )
  return [
    ...flat(numbers, 'number', (v) => [v, '']),
    ...flat(booleans, 'boolean', (v) => [v ? 1 : 0, '']),
    ...flat(strings, 'text', (v) => [0, v]),
  ]
}
