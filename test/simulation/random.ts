/** Seeded randomness: a schedule is a pure function of its seed, on every machine. */

/** sfc32, whose 128 bits of state come from one seed through splitmix32. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** Any safe integer; all of its bits count. */
  constructor(seed: number) {
    let mix = (seed ^ Math.floor(seed / 0x1_0000_0000)) >>> 0
    const next = (): number => {
      mix = (mix + 0x9e3779b9) | 0
      let word = mix ^ (mix >>> 16)
      word = Math.imul(word, 0x21f0aaad)
      word ^= word >>> 15
      word = Math.imul(word, 0x735a2d97)
      return word ^ (word >>> 15)
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    for (let i = 0; i < 12; i += 1) this.word()
  }

  /** 32 random bits, unsigned. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** An integer from 0 up to but not including `end`. */
  below(end: number): number {
    return Math.floor((this.word() / 0x1_0000_0000) * end)
  }

  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.word() < probability * 0x1_0000_0000
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0]
  }

  /** One of a list that may be empty. */
  some<T>(choices: readonly T[]): T | undefined {
    return choices[this.below(choices.length)]
  }
}
