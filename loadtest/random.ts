/**
 * Seeded randomness: the same seed gives the same fleet, the same payloads and the same faults.
 * sfc32 by Chris Doty-Humphrey (PractRand), seeded through xmur3-style mixing of a text.
 */
export type Random = Readonly<{
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, below). */
  integer(below: number): number
  /** Uniform in [from, to). */
  between(from: number, to: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  /** Standard normal. */
  normal(): number
}>

/** A stream of numbers of its own for every name, such as `${seed}/device-7`. */
export function randomOf(name: string): Random {
  const next = sfc32(seedWords(name))
  return {
    next,
    integer: (below) => Math.floor(next() * below),
    between: (from, to) => from + next() * (to - from),
    chance: (probability) => next() < probability,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  }
}

type Words = [number, number, number, number]

function seedWords(name: string): Words {
  let hash = 1779033703 ^ name.length
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 3432918353)
    hash = (hash << 13) | (hash >>> 19)
  }
  const word = (): number => {
    hash = Math.imul(hash ^ (hash >>> 16), 2246822507)
    hash = Math.imul(hash ^ (hash >>> 13), 3266489909)
    return (hash ^= hash >>> 16) >>> 0
  }
  return [word(), word(), word(), word()]
}

function sfc32(seed: Words): () => number {
  let [a, b, c, counter] = seed
  return () => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return (t >>> 0) / 4294967296
  }
}
