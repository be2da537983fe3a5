/**
 * How two neighbouring windows become one: the law by which hours are made of minutes and days of
 * hours, for the pipeline that stores them and for whoever merges what is not stored yet.
 *
 *   count, sum      add up
 *   min, max        compare
 *   first, last     of the earlier, of the later window, with their times
 *   m2              Chan's formula for two groups: squared distances within each, and between means
 *   integral        both, and the trapezoid from the last sample of one to the first of the next
 *   sketch          counts add up, bin by bin
 *
 * Counts, extremes, ends and sketches come out the same however a span is cut; sums, m2 and
 * integral as near as 64-bit floats add. The same children in the same order give the same bits.
 */

/** What is known of the samples of one window. A text series has a count and its ends only. */
export type WindowState = {
  count: number
  sum: number
  min: number
  max: number
  first: number
  last: number
  firstTsMs: number
  lastTsMs: number
  /** Sum of squared distances from the mean. */
  m2: number
  /** Trapezoids between neighbouring samples, in value x ms. */
  integral: number
  firstText: string
  lastText: string
  /** Counts by bin (quantile-sketch.ts). */
  sketch: Map<number, number>
}

/** A window that is only read. */
export type WindowPart = Readonly<Omit<WindowState, 'sketch'>> &
  Readonly<{ sketch: ReadonlyMap<number, number> }>

export const emptyWindowState = (): WindowState => ({
  count: 0,
  sum: 0,
  min: 0,
  max: 0,
  first: 0,
  last: 0,
  firstTsMs: 0,
  lastTsMs: 0,
  m2: 0,
  integral: 0,
  firstText: '',
  lastText: '',
  sketch: new Map(),
})

/**
 * Adds a child to a state that holds its elder siblings. Children come in the order of time and do
 * not overlap; one without samples changes nothing. The child's sketch is copied, not kept.
 */
export function mergeInto(state: WindowState, child: WindowPart): void {
  if (child.count === 0) return
  if (state.count === 0) begin(state, child)
  else extend(state, child)
  state.count += child.count
  state.sum += child.sum
  state.last = child.last
  state.lastTsMs = child.lastTsMs
  state.lastText = child.lastText
  for (const [bin, count] of child.sketch) {
    state.sketch.set(bin, (state.sketch.get(bin) ?? 0) + count)
  }
}

function begin(state: WindowState, child: WindowPart): void {
  state.min = child.min
  state.max = child.max
  state.first = child.first
  state.firstTsMs = child.firstTsMs
  state.firstText = child.firstText
  state.m2 = child.m2
  state.integral = child.integral
}

function extend(state: WindowState, child: WindowPart): void {
  if (child.min < state.min) state.min = child.min
  if (child.max > state.max) state.max = child.max
  const between = child.sum / child.count - state.sum / state.count
  const weight = (state.count * child.count) / (state.count + child.count)
  state.m2 += child.m2 + between * between * weight
  const bridge = ((state.last + child.first) / 2) * (child.firstTsMs - state.lastTsMs)
  state.integral += child.integral + bridge
}
