/** The spans that can be picked, and which resolution shows a stretch of time well. Pure. */
import {
  type Resolution,
  STORED_RESOLUTIONS,
  type StoredResolution,
} from '../../api/contract/resources.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

export const SPANS = [
  { name: '15m', label: '15 min', lengthMs: 15 * MINUTE_MS },
  { name: '1h', label: '1 h', lengthMs: HOUR_MS },
  { name: '6h', label: '6 h', lengthMs: 6 * HOUR_MS },
  { name: '24h', label: '24 h', lengthMs: DAY_MS },
  { name: '7d', label: '7 d', lengthMs: 7 * DAY_MS },
  { name: '30d', label: '30 d', lengthMs: 30 * DAY_MS },
  { name: '90d', label: '90 d', lengthMs: 90 * DAY_MS },
  { name: 'all', label: 'All', lengthMs: undefined },
] as const

export type SpanName = (typeof SPANS)[number]['name']

export const isSpanName = (text: string): text is SpanName =>
  SPANS.some((span) => span.name === text)

/** The length of a preset; undefined for "all", whose start only the data knows. */
export const spanLengthMs = (name: SpanName): number | undefined =>
  SPANS.find((span) => span.name === name)?.lengthMs

/** What a point on the chart stands for: one reading, or one window of a rollup. */
export type Grain = 'raw' | Resolution

const WIDTHS_MS: Record<Resolution, number> = {
  '10s': 10 * SECOND_MS,
  '1m': MINUTE_MS,
  '15m': 15 * MINUTE_MS,
  '1h': HOUR_MS,
  '6h': 6 * HOUR_MS,
  '1d': DAY_MS,
}

const GRAIN_WORDS: Record<Grain, string> = {
  raw: 'raw readings',
  '10s': '10 s windows',
  '1m': '1 min windows',
  '15m': '15 min windows',
  '1h': '1 h windows',
  '6h': '6 h windows',
  '1d': '1 day windows',
}

/** A window's length; a raw reading has none. */
export const grainWidthMs = (grain: Grain): number => (grain === 'raw' ? 0 : WIDTHS_MS[grain])

/** The windows to look into for a point of this grain; undefined where they are merged on demand. */
export const storedGrain = (grain: Grain): StoredResolution | undefined =>
  grain === 'raw' ? '10s' : STORED_RESOLUTIONS.find((stored) => stored === grain)

export const grainWords = (grain: Grain): string => GRAIN_WORDS[grain]

/** Below this, windows of 10 s are too few to see anything: the readings themselves are drawn. */
export const RAW_BELOW_MS = 5 * MINUTE_MS
const POINTS_MAX = 1500

/** The finest grain that stays below about two points per pixel of a wide chart. */
export function grainFor(lengthMs: number): Grain {
  if (lengthMs <= RAW_BELOW_MS) return 'raw'
  for (const resolution of ['10s', '1m', '15m', '1h', '6h'] as const) {
    if (lengthMs / WIDTHS_MS[resolution] <= POINTS_MAX) return resolution
  }
  return '1d'
}

/** The shortest and longest stretch that zooming reaches. */
export const SHORTEST_MS = 10 * SECOND_MS
export const LONGEST_MS = 10 * 365 * DAY_MS

/** The range after zooming by `factor` (below 1 zooms in) with the time at `anchorMs` held still. */
export function zoomed(range: Range, factor: number, anchorMs: number): Range {
  const lengthMs = range.toMs - range.fromMs
  const wanted = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, lengthMs * factor))
  const share = (anchorMs - range.fromMs) / lengthMs
  const fromMs = Math.round(Math.max(0, anchorMs - share * wanted))
  return { fromMs, toMs: fromMs + Math.round(wanted) }
}

/** The right edge counts as the present when it is this share of the length away from it. */
const PRESENT_SHARE = 0.1

/**
 * What zooming without a pointer holds still: the right edge where that is the present, because
 * who follows a device looks at what comes; else the middle.
 */
export function zoomAnchorMs({ fromMs, toMs }: Range, nowMs: number): number {
  const atPresent = Math.abs(nowMs - toMs) <= (toMs - fromMs) * PRESENT_SHARE
  return atPresent ? toMs : (fromMs + toMs) / 2
}

export function panned(range: Range, byMs: number): Range {
  const shift = Math.max(Math.round(byMs), -range.fromMs)
  return { fromMs: range.fromMs + shift, toMs: range.toMs + shift }
}

/** From inclusive, to exclusive. */
export type Range = Readonly<{ fromMs: number; toMs: number }>
