/** The numbers under the pointer, or of the newest window; its place never moves. */
import { numberWords, shortRangeWords, utcWords, lengthWords, valueWords } from '../say/words.ts'
import { useNow } from '../shell/clock-tick.ts'
import type { Point } from '../series/point-series.ts'
import { type Grain, grainWidthMs, type Range } from '../series/span.ts'

type ReadoutProps = {
  points: readonly Point[]
  gaps: readonly Range[]
  grain: Grain
  boolean: boolean
  atMs: number | undefined
}

export function Readout({ points, gaps, grain, boolean, atMs }: ReadoutProps) {
  const now = useNow(60_000)
  const gap = atMs === undefined ? undefined : gaps.find((g) => g.fromMs <= atMs && atMs < g.toMs)
  if (gap !== undefined) {
    return (
      <p class="readout">
        <span title={utcWords(gap.fromMs)}>{shortRangeWords(gap.fromMs, gap.toMs, now)}</span>
        <strong>no readings for {lengthWords(gap.toMs - gap.fromMs)}</strong>
      </p>
    )
  }
  const widthMs = grainWidthMs(grain)
  const point = atMs === undefined ? points.at(-1) : nearest(points, atMs - widthMs / 2)
  if (point === undefined) return <p class="readout muted">no data</p>
  const { start, final } = point
  return (
    <p class="readout">
      <span title={utcWords(start)}>{shortRangeWords(start, start + widthMs, now)}</span>
      {pairsOf(point, widthMs, boolean).map(([name, text]) => (
        <Pair key={name} name={name} text={text} />
      ))}
      {final ? null : <span class="muted">still open</span>}
    </p>
  )
}

/** What is worth saying of a window, or of a single reading, by the type of its values. */
function pairsOf(point: Point, widthMs: number, boolean: boolean): [string, string][] {
  const { mean, min, max, count, last } = point
  const size: [string, string][] = widthMs === 0 ? [] : [['count', String(count)]]
  if (mean === null) return [['last', valueWords(last)], ...size]
  if (boolean && widthMs === 0) return [['value', String(mean === 1)]]
  if (boolean) return [['true', `${numberWords(Math.round(mean * 1000) / 10)} %`], ...size]
  if (widthMs === 0) return [['value', numberWords(mean)]]
  return [
    ['mean', numberWords(mean)],
    ['min', numberWords(min)],
    ['max', numberWords(max)],
    ...size,
  ]
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
