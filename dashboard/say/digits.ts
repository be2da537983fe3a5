/**
 * How many decimals a changing number is said with. 57, 57.8, 57.25 one after the other would make
 * a row jump, so a series keeps the most decimals it ever had, and of those no more than its largest
 * value deserves: six significant digits are what an eye compares. Pure.
 */
import type { Value } from '../../api/contract/resources.ts'
import { minus, numberWords } from './words.ts'

/** What was seen of a series: the most decimals as they were sent, and the largest size. */
export type Digits = Readonly<{ decimals: number; size: number }>
export const NO_DIGITS: Digits = { decimals: 0, size: 0 }

const DECIMALS_MAX = 6

/** The digits after one more value: they only grow, so what is on screen settles and stays. */
export function withValue(digits: Digits, value: Value | null): Digits {
  if (typeof value !== 'number' || !Number.isFinite(value)) return digits
  const decimals = Math.max(digits.decimals, decimalsAsSent(value))
  const size = Math.max(digits.size, Math.abs(value))
  return decimals === digits.decimals && size === digits.size ? digits : { decimals, size }
}

/** A value in the digits of its series; text and booleans as they are. */
export function steadyWords(value: Value | null, digits: Digits): string {
  if (value === null) return '–'
  if (typeof value !== 'number') return String(value)
  const { size } = digits
  if (!Number.isFinite(value) || size >= 1e9 || size < 1e-4) return numberWords(value)
  // Rounded to nothing, a number has no sign.
  return minus(value.toFixed(shownDecimals(digits)).replace(/^-(?=[0.]+$)/, ''))
}

function shownDecimals({ decimals, size }: Digits): number {
  const deserved = size >= 1000 ? 1 : size >= 100 ? 2 : size >= 0.1 ? 3 : DECIMALS_MAX
  return Math.min(decimals, deserved)
}

function decimalsAsSent(value: number): number {
  const text = String(value)
  if (text.includes('e')) return Math.abs(value) < 1 ? DECIMALS_MAX : 0
  const point = text.indexOf('.')
  return point < 0 ? 0 : Math.min(DECIMALS_MAX, text.length - point - 1)
}
