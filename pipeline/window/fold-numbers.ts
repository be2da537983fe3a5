/**
 * The one fold from samples to the numbers of a window. Open windows and late corrections both
 * come through here, with the samples in the order of their times, so that every bit of a row
 * (floating-point sums included) depends on nothing but the set of samples.
 */

/** Where each number of a window lies in its stretch of a Float64Array. */
export const SUM = 0
export const MIN = 1
export const MAX = 2
export const FIRST = 3
export const LAST = 4
/** Running mean of Welford's method. Not stored: a row is never folded further. */
export const MEAN = 5
/** Sum of squared distances from the mean. */
export const M2 = 6
/** Trapezoids between neighbouring samples, in value x ms; nothing before first, after last. */
export const INTEGRAL = 7
export const NUMBERS_PER_WINDOW = 8

/**
 * Folds the samples `from` to `to` of a window, which begins at `base` in both columns; those
 * before `from` are in the state already. Times are ms after any one moment, strictly ascending.
 */
// oxlint-disable-next-line max-params -- the hottest loop: an options object would be garbage
export function foldNumbers(
  state: Float64Array,
  at: number,
  dts: Uint16Array,
  values: Float64Array,
  base: number,
  from: number,
  to: number,
): void {
  if (from >= to) return
  let index = from
  let sum: number, min: number, max: number, last: number, mean: number, m2: number
  let integral: number
  if (from === 0) {
    last = values[base] ?? 0
    state[at + FIRST] = last
    sum = 0 + last
    min = max = mean = last
    m2 = integral = 0
    index = 1
  } else {
    sum = state[at + SUM] ?? 0
    min = state[at + MIN] ?? 0
    max = state[at + MAX] ?? 0
    last = state[at + LAST] ?? 0
    mean = state[at + MEAN] ?? 0
    m2 = state[at + M2] ?? 0
    integral = state[at + INTEGRAL] ?? 0
  }
  for (; index < to; index += 1) {
    const value = values[base + index] ?? 0
    const elapsed = (dts[base + index] ?? 0) - (dts[base + index - 1] ?? 0)
    integral += ((last + value) / 2) * elapsed
    if (value < min) min = value
    if (value > max) max = value
    sum += value
    const distance = value - mean
    mean += distance / (index + 1)
    m2 += distance * (value - mean)
    last = value
  }
  state[at + SUM] = sum
  state[at + MIN] = min
  state[at + MAX] = max
  state[at + LAST] = last
  state[at + MEAN] = mean
  state[at + M2] = m2
  state[at + INTEGRAL] = integral
}
