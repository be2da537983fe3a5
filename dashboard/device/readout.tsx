/** The numbers under the pointer, or of the newest window; its place never moves. */
import {
  numberWords,
  rangeWords,
  clockWords,
  utcWords,
  lengthWords,
  valueWords,
} from '../say/words.ts'
import type { Point } from '../series/point-series.ts'
import { type Grain, grainWidthMs, type Range } from '../series/span.ts'

type ReadoutProps = {
  points: readonly Point[]
  gaps: readonly Range[]
  grain: Grain
  atMs: number | undefined
}

export function Readout({ points, gaps, grain, atMs }: ReadoutProps) {
  const gap = atMs === undefined ? undefined : gaps.find((g) => g.fromMs <= atMs && atMs < g.toMs)
  if (gap !== undefined) {
    return (
      <p class="readout">
        <span>{rangeWords(gap.fromMs, gap.toMs)}</span>
        <strong>no readings for {lengthWords(gap.toMs - gap.fromMs)}</strong>
      </p>
    )
  }
  const widthMs = grainWidthMs(grain)
  const point = atMs === undefined ? points.at(-1) : nearest(points, atMs - widthMs / 2)
  if (point === undefined) return <p class="readout muted">no data</p>
  const { start, mean, min, max, count, last, final } = point
  const when = widthMs === 0 ? clockWords(start) : rangeWords(start, start + widthMs)
  return (
    <p class="readout">
      <span title={utcWords(start)}>{when}</span>
      {mean === null ? <Pair name="last" text={valueWords(last)} /> : null}
      {mean === null ? null : (
        <Pair name={widthMs === 0 ? 'value' : 'mean'} text={numberWords(mean)} />
      )}
      {mean === null || widthMs === 0 ? null : (
        <>
          <Pair name="min" text={numberWords(min)} />
          <Pair name="max" text={numberWords(max)} />
        </>
      )}
      {widthMs === 0 ? null : <Pair name="count" text={String(count)} />}
      {final ? null : <span class="muted">still open</span>}
    </p>
  )
}

function Pair({ name, text }: { name: string; text: string }) {
  return (
    <span class="pair">
      <span class="metric">{name}</span> <b class="value">{text}</b>
    </span>
  )
}

function nearest(points: readonly Point[], ms: number): Point | undefined {
  let low = 0
  let high = points.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((points[middle]?.start ?? 0) < ms) low = middle + 1
    else high = middle
  }
  const [before, after] = [points[low - 1], points[low]]
  if (before === undefined || after === undefined) return after ?? before
  return ms - before.start < after.start - ms ? before : after
}
