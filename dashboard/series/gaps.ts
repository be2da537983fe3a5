/**
 * Where a series has a hole. A device that reports every five minutes leaves empty 10-second
 * windows all the time: that is its rhythm, not a gap. So the expected spacing decides.
 */
import type { Point } from './point-series.ts'
import { type Grain, grainWidthMs, type Range } from './span.ts'

const WINDOWS_MISSING = 2
const SPACINGS_MISSING = 3
const MISSING_AT_LEAST_MS = 2000

/** Stretches without data between points, and after the last one up to `untilMs`. */
export function gapsOf(points: readonly Point[], grain: Grain, untilMs: number): Range[] {
  // One point has no rhythm that it could have missed.
  if (points.length < 2) return []
  const widthMs = grainWidthMs(grain)
  const toleratedMs = toleratedMissingMs(points, widthMs)
  const gaps: Range[] = []
  for (const [i, point] of points.entries()) {
    const fromMs = point.start + widthMs
    const toMs = points[i + 1]?.start ?? untilMs
    if (toMs - fromMs > toleratedMs) gaps.push({ fromMs, toMs })
  }
  return gaps
}

/** What of the gaps lies in the range: of a gap that began before it, only the rest is counted. */
export function gapsWithin(gaps: readonly Range[], { fromMs, toMs }: Range): Range[] {
  return gaps
    .filter((gap) => gap.toMs > fromMs && gap.fromMs < toMs)
    .map((gap) => ({ fromMs: Math.max(gap.fromMs, fromMs), toMs: Math.min(gap.toMs, toMs) }))
}

/** How much may be missing before it counts: two windows, or three times the usual spacing. */
export function toleratedMissingMs(points: readonly Point[], widthMs: number): number {
  const spacings: number[] = []
  for (const [i, point] of points.entries()) {
    const next = points[i + 1]
    if (next !== undefined) spacings.push(next.start - point.start)
  }
  spacings.sort((a, b) => a - b)
  const medianMs = spacings[Math.floor((spacings.length - 1) / 2)] ?? 0
  return Math.max(
    WINDOWS_MISSING * widthMs,
    medianMs > widthMs || widthMs === 0 ? SPACINGS_MISSING * medianMs : 0,
    MISSING_AT_LEAST_MS,
  )
}
