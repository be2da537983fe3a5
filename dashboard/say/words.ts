/** How values, ages and times are said on screen. Pure; the clock comes in as a value. */
import type { Value } from '../../api/contract/resources.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Six significant digits are what an eye compares; the full value is in the title. */
export function valueWords(value: Value): string {
  if (typeof value === 'number') return numberWords(value)
  return String(value)
}

export function numberWords(value: number | null): string {
  if (value === null) return '–'
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) return minus(value.toExponential(3))
  const decimals = size >= 1000 ? 1 : size >= 100 ? 2 : 3
  return minus(String(Number(value.toFixed(size < 0.1 ? 6 : decimals))))
}

const DECIMALS_MAX = 6

/** How many decimals a column of these values needs, so that all its points stand in one line. */
export function decimalsOf(values: readonly Value[]): number {
  let most = 0
  for (const value of values) {
    if (typeof value !== 'number') continue
    const text = String(value)
    const point = text.indexOf('.')
    if (point >= 0 && !text.includes('e')) most = Math.max(most, text.length - point - 1)
  }
  return Math.min(most, DECIMALS_MAX)
}

/** A number with so many decimals, or in powers of ten where that would hide or drown it. */
export function fixed(value: number, decimals: number): string {
  const size = Math.abs(value)
  const plain = value === 0 || (size < 1e12 && size >= 10 ** -DECIMALS_MAX)
  return minus(plain ? value.toFixed(decimals) : String(value))
}

/** Labels of an axis: all with the same decimals, and two neighbours never the same. */
export function scaleWords(ticks: readonly number[]): string[] {
  const size = Math.max(...ticks.map(Math.abs))
  if (size >= 1e7 || size < 1e-4) return ticks.map(numberWords)
  // A tick is computed in floating point: 0.30000000000000004 is meant to be 0.3.
  const meant = ticks.map((tick) => Number(tick.toPrecision(12)))
  const decimals = decimalsOf(meant)
  return meant.map((tick) => fixed(tick, decimals))
}

export function ageWords(ageMs: number): string {
  if (ageMs < SECOND_MS) return 'now'
  if (ageMs < MINUTE_MS) return `${Math.floor(ageMs / SECOND_MS)} s ago`
  if (ageMs < HOUR_MS) return `${Math.floor(ageMs / MINUTE_MS)} min ago`
  if (ageMs < 2 * DAY_MS) return `${Math.floor(ageMs / HOUR_MS)} h ago`
  return `${Math.floor(ageMs / DAY_MS)} d ago`
}

export function lengthWords(lengthMs: number): string {
  if (lengthMs < SECOND_MS) return `${Math.round(lengthMs)} ms`
  if (lengthMs < MINUTE_MS) return `${Math.round(lengthMs / SECOND_MS)} s`
  if (lengthMs < HOUR_MS) return two(lengthMs, [MINUTE_MS, 'min'], [SECOND_MS, 's'])
  if (lengthMs < DAY_MS) return two(lengthMs, [HOUR_MS, 'h'], [MINUTE_MS, 'min'])
  return two(lengthMs, [DAY_MS, 'd'], [HOUR_MS, 'h'])
}

/** What is missing of a span; said only where there are points enough to tell. */
export function gapWords(points: number, gapLengthsMs: readonly number[]): string {
  if (points === 0) return ''
  if (points === 1) return 'one point: too few to see gaps'
  if (gapLengthsMs.length === 0) return 'no gaps'
  const missingMs = gapLengthsMs.reduce((sum, lengthMs) => sum + lengthMs, 0)
  const gaps = gapLengthsMs.length === 1 ? '1 gap' : `${gapLengthsMs.length} gaps`
  return `${gaps}, ${lengthWords(missingMs)} missing`
}

/** "Live" is what a sensor does that spoke just now; after a quarter of an hour it is silent. */
export type Pulse = 'live' | 'quiet' | 'silent' | 'never'
export function pulseOf(ageMs: number | undefined): Pulse {
  if (ageMs === undefined) return 'never'
  if (ageMs < 30 * SECOND_MS) return 'live'
  return ageMs < 15 * MINUTE_MS ? 'quiet' : 'silent'
}

/** What the mark of a device says: while nothing new can come, nobody is called live. */
export type ShownPulse = Pulse | 'was-live'

/**
 * By the clock while the feed flows. Where it ended (`toldUntilMs`) every device is what it was
 * then: that we hear nothing is not the silence of the device.
 */
export function shownPulse(
  at: number | undefined,
  now: number,
  toldUntilMs: number | undefined,
): ShownPulse {
  const pulse = pulseOf(at === undefined ? undefined : (toldUntilMs ?? now) - at)
  return pulse === 'live' && toldUntilMs !== undefined ? 'was-live' : pulse
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const minuteFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const yearFormat = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric' })
const fullFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

/** Local time of day to the second. */
export const clockWords = (ms: number): string => clockFormat.format(ms)
export const momentWords = (ms: number): string => fullFormat.format(ms)
export const utcWords = (ms: number): string => `${new Date(ms).toISOString()} (UTC)`

/** Both ends of a range, with the day said once where it is the same. */
export function rangeWords(fromMs: number, toMs: number): string {
  const sameDay = dayFormat.format(fromMs) === dayFormat.format(toMs) && toMs - fromMs < DAY_MS
  return `${momentWords(fromMs)} – ${sameDay ? clockWords(toMs) : momentWords(toMs)}`
}

/** The same, without the day where that is today; one moment where both ends are the same. */
export function shortRangeWords(fromMs: number, toMs: number, nowMs: number): string {
  const today = dayFormat.format(nowMs)
  const recent = Math.abs(nowMs - fromMs) < 2 * DAY_MS
  if (!recent || dayFormat.format(fromMs) !== today || dayFormat.format(toMs) !== today) {
    return fromMs === toMs ? momentWords(fromMs) : rangeWords(fromMs, toMs)
  }
  return fromMs === toMs ? clockWords(fromMs) : `${clockWords(fromMs)} – ${clockWords(toMs)}`
}

/** Tick labels of a time axis: as fine as the distance between two ticks needs. */
export function tickWords(ms: number, stepMs: number): string {
  if (stepMs >= 300 * DAY_MS) return String(new Date(ms).getFullYear())
  if (stepMs >= 28 * DAY_MS) return yearFormat.format(ms)
  const time = new Date(ms)
  const midnight = time.getHours() === 0 && time.getMinutes() === 0 && time.getSeconds() === 0
  if (stepMs >= DAY_MS || (midnight && stepMs >= MINUTE_MS)) return dayFormat.format(ms)
  return stepMs >= MINUTE_MS ? minuteFormat.format(ms) : clockFormat.format(ms)
}

function two(
  ms: number,
  [bigMs, big]: [number, string],
  [smallMs, small]: [number, string],
): string {
  const whole = Math.floor(ms / bigMs)
  const rest = Math.floor((ms % bigMs) / smallMs)
  return rest === 0 ? `${whole} ${big}` : `${whole} ${big} ${rest} ${small}`
}

/** The sign of a number in words, not the hyphen of a program. */
export const minus = (text: string): string => text.replaceAll('-', '−')
