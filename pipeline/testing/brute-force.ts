/**
 * The oracle of the tests: what the tables must hold for a log, computed the obvious way and
 * without any of the fold's code. Only the law of merging windows is shared.
 */
import type { Series as Entry, Telemetry } from '../../schemas/telemetry.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'
import { binOf } from '../../schemas/quantile-sketch.ts'
import { emptyWindowState, mergeInto, type WindowState } from '../../schemas/window-merge.ts'
import { CASCADES, RESOLUTIONS_MS } from '../window/tumbling-windows.ts'

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
  /** By `series resolution start`: windows that are folded from samples. */
  rollups: ReadonlyMap<string, WindowState>
  /** The same for hours and days, as if all of them had ended. */
  cascades: ReadonlyMap<string, WindowState>
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
  const rollups = foldAll(samples)
  return { samples, rollups, cascades: mergeAll(rollups) }
}

function foldAll(samples: Expected['samples']): Map<string, WindowState> {
  const rollups = new Map<string, WindowState>()
  for (const [series, times] of samples) {
    const inOrder = [...times.values()].sort((a, b) => a.tsMs - b.tsMs)
    for (const { tsMs, value, text } of inOrder) {
      for (const size of RESOLUTIONS_MS) {
        const key = rollupKey(series, size, tsMs - (tsMs % size))
        const state = rollups.get(key) ?? emptyWindowState()
        rollups.set(key, state)
        addSample(state, series.endsWith('/text'), { tsMs, value, text })
      }
    }
  }
  return rollups
}

/** Adds a sample to a window; samples come in the order of their times. */
export function addSample(
  state: WindowState,
  isText: boolean,
  { tsMs, value, text }: Pick<ExpectedSample, 'tsMs' | 'value' | 'text'>,
): void {
  if (isText) addText(state, tsMs, text)
  else addNumber(state, tsMs, value)
}

function addText(state: WindowState, tsMs: number, text: string): void {
  if (state.count === 0) {
    state.firstText = text
    state.firstTsMs = tsMs
  }
  state.count += 1
  state.lastText = text
  state.lastTsMs = tsMs
}

/** Welford's method for m2; his running mean is not the quotient of sum and count, bit for bit. */
const MEANS = new WeakMap<WindowState, number>()

function addNumber(state: WindowState, tsMs: number, value: number): void {
  if (state.count === 0) {
    state.first = value
    state.firstTsMs = tsMs
    state.min = value
    state.max = value
  } else {
    state.integral += ((state.last + value) / 2) * (tsMs - state.lastTsMs)
    if (value < state.min) state.min = value
    if (value > state.max) state.max = value
  }
  state.count += 1
  state.sum += value
  const before = MEANS.get(state) ?? 0
  const mean = before + (value - before) / state.count
  state.m2 += (value - before) * (value - mean)
  MEANS.set(state, mean)
  state.last = value
  state.lastTsMs = tsMs
  state.sketch.set(binOf(value), (state.sketch.get(binOf(value)) ?? 0) + 1)
}

function mergeAll(rollups: ReadonlyMap<string, WindowState>): Map<string, WindowState> {
  const all = new Map(rollups)
  const merged = new Map<string, WindowState>()
  for (const { childMs, parentMs } of CASCADES) {
    const children = [...all].map(([key, state]) => ({ ...placeOf(key), state }))
    children.sort((a, b) => a.startMs - b.startMs)
    for (const { series, resolutionMs, startMs, state } of children) {
      if (resolutionMs !== childMs) continue
      const key = rollupKey(series, parentMs, startMs - (startMs % parentMs))
      const parent = merged.get(key) ?? emptyWindowState()
      merged.set(key, parent)
      all.set(key, parent)
      mergeInto(parent, state)
    }
  }
  return merged
}

/** Takes apart what rollupKey put together; a series may have spaces in its name. */
export function placeOf(
  key: string,
): Readonly<{ series: string; resolutionMs: number; startMs: number }> {
  const [, series = '', resolutionMs, startMs] = /^(.*) (\d+) (\d+)$/s.exec(key) ?? []
  return { series, resolutionMs: Number(resolutionMs), startMs: Number(startMs) }
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
