/**
 * Tells whether two windows hold the same, bit for bit, without keeping either: 64 bits of a hash
 * over everything that a row says of its samples.
 */
import type { WindowPart } from '../../schemas/window-merge.ts'

const numbers = new Float64Array(9)
const words = new Uint32Array(numbers.buffer)

export function contentDigest(window: WindowPart): string {
  numbers[0] = window.count
  numbers[1] = window.sum
  numbers[2] = window.min
  numbers[3] = window.max
  numbers[4] = window.first
  numbers[5] = window.last
  numbers[6] = window.firstTsMs
  numbers[7] = window.lastTsMs
  numbers[8] = window.m2
  const hash = new Hash()
  hash.words(words)
  numbers[0] = window.integral
  hash.words(words.subarray(0, 2))
  // Bins come in any order.
  let [bins, counts] = [0, 0]
  for (const [bin, count] of window.sketch) {
    const mixed = mix(Math.imul(bin + 1, 0x9e3779b1) ^ mix(count))
    bins = (bins + mixed) | 0
    counts = (counts + Math.imul(mixed, mixed | 1)) | 0
  }
  hash.word(bins)
  hash.word(counts)
  hash.text(window.firstText)
  hash.text(window.lastText)
  return hash.end()
}

class Hash {
  #a = 0x6a09e667
  #b = 0xbb67ae85

  word(word: number): void {
    this.#a = mix(this.#a ^ word)
    this.#b = mix(Math.imul(this.#b + word, 0x85ebca77) ^ this.#a)
  }

  words(words: Uint32Array): void {
    for (const word of words) this.word(word)
  }

  text(text: string): void {
    this.word(text.length)
    for (let at = 0; at < text.length; at += 1) this.word(text.charCodeAt(at))
  }

  end(): string {
    return `${(this.#a >>> 0).toString(36)}.${(this.#b >>> 0).toString(36)}`
  }
}

function mix(word: number): number {
  let h = word ^ (word >>> 16)
  h = Math.imul(h, 0x21f0aaad)
  h ^= h >>> 15
  h = Math.imul(h, 0x735a2d97)
  return h ^ (h >>> 15)
}
