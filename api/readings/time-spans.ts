/** Arithmetic with spans of time, [from, to) in ms: what of them is not covered by stored rows. */
import type { SpanMs } from './telemetry-reader.ts'

/**
 * What of these spans has no row, given the starts of rows of one length in ascending order. Spans
 * are in order, and begin and end where rows could.
 */
export function holesIn(
  spans: readonly SpanMs[],
  starts: readonly number[],
  rowMs: number,
): readonly SpanMs[] {
  const holes: SpanMs[] = []
  let next = 0
  for (const { fromMs, toMs } of spans) {
    let openMs = fromMs
    for (; next < starts.length; next += 1) {
      const start = starts[next] ?? Infinity
      if (start >= toMs) break
      if (start > openMs) holes.push({ fromMs: openMs, toMs: start })
      openMs = Math.max(openMs, start + rowMs)
    }
    if (openMs < toMs) holes.push({ fromMs: openMs, toMs })
  }
  return holes
}

/** At most `max` spans that cover these, made by closing the smallest distances between them. */
export function joined(spans: readonly SpanMs[], max: number): readonly SpanMs[] {
  if (spans.length <= max) return spans
  const distances = spans.slice(1).map((span, at) => span.fromMs - (spans[at]?.toMs ?? 0))
  const kept = new Set(
    distances
      .map((distance, at) => ({ distance, at: at + 1 }))
      .sort((a, b) => b.distance - a.distance)
      .slice(0, max - 1)
      .map(({ at }) => at),
  )
  const all: SpanMs[] = []
  for (const [at, span] of spans.entries()) {
    const last = all.at(-1)
    if (last === undefined || kept.has(at)) all.push(span)
    else all[all.length - 1] = { fromMs: last.fromMs, toMs: span.toMs }
  }
  return all
}
