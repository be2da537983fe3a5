/**
 * Tells whether two windows hold the same, bit for bit, without keeping either: 53 bits of a hash
 * over everything that a row says of its samples, which a number holds exactly.
 */
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { RollupRows } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'

const numbers = new Float64Array(10)
const words = new Int32Array(numbers.buffer)

export function contentDigest(window: WindowPart): number {
  numbers[0] = window.count
  numbers[1] = window.sum
  numbers[2] = window.min
  numbers[3] = window.max
  numbers[4] = window.first
  numbers[5] = window.last
  numbers[6] = window.firstTsMs
  numbers[7] = window.lastTsMs
  numbers[8] = window.m2
  numbers[9] = window.integral
  let [bins, counts] = [0, 0]
  for (const [bin, count] of window.sketch) {
    const mixed = mixedBin(bin, count)
    bins = (bins + mixed) | 0
    counts = (counts + Math.imul(mixed, mixed | 1)) | 0
  }
  return digest(bins, counts, window.firstText, window.lastText)
}

/** The digest of a row's content, straight from the columns: objects would cost more than it. */
export function rowDigest(rows: RollupRows<SeriesRef>, row: number): number {
  numbers[0] = rows.counts[row] ?? 0
  numbers[1] = rows.sums[row] ?? 0
  numbers[2] = rows.mins[row] ?? 0
  numbers[3] = rows.maxs[row] ?? 0
  numbers[4] = rows.firsts[row] ?? 0
  numbers[5] = rows.lasts[row] ?? 0
  numbers[6] = rows.firstTsMs[row] ?? 0
  numbers[7] = rows.lastTsMs[row] ?? 0
  numbers[8] = rows.m2s[row] ?? 0
  numbers[9] = rows.integrals[row] ?? 0
  let [bins, counts] = [0, 0]
  const end = rows.sketchEnds[row] ?? 0
  for (let n = row === 0 ? 0 : (rows.sketchEnds[row - 1] ?? 0); n < end; n += 1) {
    const mixed = mixedBin(rows.sketchBins[n] ?? 0, rows.sketchCounts[n] ?? 0)
    bins = (bins + mixed) | 0
    counts = (counts + Math.imul(mixed, mixed | 1)) | 0
  }
  return digest(bins, counts, rows.firstTexts.get(row) ?? '', rows.lastTexts.get(row) ?? '')
}

/** Of `numbers`, of bins summed up since they come in any order, and of texts. */
function digest(bins: number, counts: number, firstText: string, lastText: string): number {
  let [a, b] = [0x6a09e667 ^ bins, 0xbb67ae85 ^ counts]
  for (let at = 0; at < words.length; at += 1) {
    a = mix(a ^ (words[at] ?? 0))
    b = Math.imul(b ^ a, 0x85ebca77) + at
  }
  for (const text of [firstText, lastText]) {
    a = mix(a ^ text.length)
    for (let at = 0; at < text.length; at += 1) {
      a = mix(a ^ text.charCodeAt(at))
      b = Math.imul(b ^ a, 0x85ebca77) + at
    }
  }
  return (mix(a ^ b) >>> 0) * 2 ** 21 + (mix(b) >>> 11)
}

const mixedBin = (bin: number, count: number): number =>
  mix(Math.imul(bin + 1, 0x9e3779b1) ^ mix(count))

function mix(word: number): number {
  let h = word ^ (word >>> 16)
  h = Math.imul(h, 0x21f0aaad)
  h ^= h >>> 15
  h = Math.imul(h, 0x735a2d97)
  return h ^ (h >>> 15)
}
