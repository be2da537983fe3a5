/** The numbers under the pointer, or of the newest window; its place never moves. */
import { useMemo } from 'preact/hooks'
import { type Digits, NO_DIGITS, steadyWords, withValue } from '../say/digits.ts'
import { lengthWords, numberWords, shortRangeWords, utcWords, valueWords } from '../say/words.ts'
import { useNow } from '../shell/clock-tick.ts'
import type { Point } from '../series/point-series.ts'
import { type Grain, grainWidthMs, type Range } from '../series/span.ts'

type ReadoutProps = {
  points: readonly Point[]
  gaps: readonly Range[]
  grain: Grain
  boolean: boolean
  atMs: number | undefined
  /** Asked to lay the window open that is read out; absent where that is not offered. */
  onWhy: ((startMs: number) => void) | undefined
}

export function Readout({ points, gaps, grain, boolean, atMs, onWhy }: ReadoutProps) {
  const now = useNow(60_000)
  const digits = useMemo(() => digitsOf(points), [points])
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
  const { start, final, correctedAt } = point
  return (
    <p class="readout">
      <span title={utcWords(start)}>{shortRangeWords(start, start + widthMs, now)}</span>
      {pairsOf(point, { widthMs, boolean, digits }).map(([name, text]) => (
        <Pair key={name} name={name} text={text} />
      ))}
      {final ? null : (
        <span class="muted" title="Samples can still come: this window is provisional.">
          still open
        </span>
      )}
      {correctedAt === 0 ? null : (
        <span class="warn" title={`A late reading changed it: ${utcWords(correctedAt)}`}>
          corrected
        </span>
      )}
      {onWhy === undefined ? null : (
        <button
          type="button"
          class="link"
          aria-label="Why this number?"
          title="Why this number? Its samples and stored rows"
          onClick={() => onWhy(start)}
        >
          why?
        </button>
      )}
    </p>
  )
}

/** What is worth saying of a window, or of a single reading, by the type of its values. */
function pairsOf(
  point: Point,
  { widthMs, boolean, digits }: { widthMs: number; boolean: boolean; digits: Digits },
): [string, string][] {
  const { mean, min, max, stddev, count, last } = point
  const size: [string, string][] = widthMs === 0 ? [] : [['count', String(count)]]
  if (mean === null) return [['last', valueWords(last)], ...size]
  if (boolean && widthMs === 0) return [['value', String(mean === 1)]]
  if (boolean) return [['true', `${numberWords(Math.round(mean * 1000) / 10)} %`], ...size]
  if (widthMs === 0) return [['value', steadyWords(mean, digits)]]
  return [
    // A mean lies between the values: one decimal more than they have says where.
    ['mean', steadyWords(mean, { ...digits, decimals: digits.decimals + 1 })],
    ['±', numberWords(stddev)],
    ['min', steadyWords(min, digits)],
    ['max', steadyWords(max, digits)],
    ...size,
  ]
}

function digitsOf(points: readonly Point[]): Digits {
  let digits = NO_DIGITS
  for (const { min, max } of points) digits = withValue(withValue(digits, min), max)
  return digits
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
