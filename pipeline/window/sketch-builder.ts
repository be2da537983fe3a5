/**
 * Counts the values of one window by their bins (schemas/quantile-sketch.ts) and gives the bins in
 * ascending order, so that equal sets of values have equal sketches. Used again for the next one.
 */
import { binOfHighBits } from '../../schemas/quantile-sketch.ts'

const BIN_OFFSET = 32_768

export class SketchBuilder {
  /** Distinct bins so far. */
  size = 0
  /** The bins; in ascending order after sort(). */
  readonly bins = new Int16Array(2 * BIN_OFFSET)
  readonly #counts = new Uint32Array(2 * BIN_OFFSET)

  clear(): void {
    for (let n = 0; n < this.size; n += 1) this.#counts[(this.bins[n] ?? 0) + BIN_OFFSET] = 0
    this.size = 0
  }

  /** `words` are the values as pairs of 32-bit words, lower one first; `from` and `to` count pairs. */
  addAll(words: Int32Array, from: number, to: number): void {
    for (let n = from; n < to; n += 1) this.add(binOfHighBits(words[2 * n + 1] ?? 0), 1)
  }

  add(bin: number, count: number): void {
    const at = bin + BIN_OFFSET
    const before = this.#counts[at] ?? 0
    if (before === 0) {
      this.bins[this.size] = bin
      this.size += 1
    }
    this.#counts[at] = before + count
  }

  countOf(bin: number): number {
    return this.#counts[bin + BIN_OFFSET] ?? 0
  }

  sort(): void {
    const { bins, size } = this
    if (size > FEW) {
      bins.subarray(0, size).sort()
      return
    }
    for (let n = 1; n < size; n += 1) {
      const bin = bins[n] ?? 0
      let at = n
      for (; at > 0 && (bins[at - 1] ?? 0) > bin; at -= 1) bins[at] = bins[at - 1] ?? 0
      bins[at] = bin
    }
  }
}

/** Up to here sorting by insertion is quicker than a call. */
const FEW = 24
