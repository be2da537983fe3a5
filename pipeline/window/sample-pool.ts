/**
 * The samples of open windows: time and value of each in two columns, ten bytes a sample, each
 * window's own block contiguous and sorted by time. Blocks have power-of-two sizes and are used
 * again. A window holds at most one sample a millisecond, so the largest fits one segment.
 */
const SEGMENT_BITS = 16
const SEGMENT_SAMPLES = 1 << SEGMENT_BITS
const SMALLEST_BITS = 2

export type SampleSegment = Readonly<{
  /** Ms after the start of the window. */
  dts: Uint16Array
  values: Float64Array
  /** The same values as 32-bit words. */
  words: Int32Array
}>

/** The size class, a power of two, whose blocks hold so many samples. */
export const sizeBitsFor = (samples: number): number =>
  Math.max(SMALLEST_BITS, 32 - Math.clz32(Math.max(1, samples) - 1))

export class SamplePool {
  readonly #segments: SampleSegment[] = []
  readonly #free: number[][] = Array.from({ length: SEGMENT_BITS + 1 }, () => [])
  /** Where the newest segment is still untouched. */
  #next = 0
  #end = 0

  /** Address of a block of 2^sizeBits samples. */
  take(sizeBits: number): number {
    const free = this.#free[sizeBits]?.pop()
    if (free !== undefined) return free
    const size = 1 << sizeBits
    while (this.#end - this.#next < size) this.#addSegment()
    const at = this.#next
    this.#next += size
    return at
  }

  give(block: number, sizeBits: number): void {
    this.#free[sizeBits]?.push(block)
  }

  segmentOf(block: number): SampleSegment {
    const segment = this.#segments[block >>> SEGMENT_BITS]
    if (segment === undefined) throw new RangeError(`no samples at ${block}`)
    return segment
  }

  /** The block with twice the room that holds the given block's samples. */
  doubled(block: number, sizeBits: number): number {
    const larger = this.take(sizeBits + 1)
    const [from, to] = [this.segmentOf(block), this.segmentOf(larger)]
    const [a, b, size] = [baseOf(block), baseOf(larger), 1 << sizeBits]
    for (let k = 0; k < size; k += 1) {
      to.dts[b + k] = from.dts[a + k] ?? 0
      to.values[b + k] = from.values[a + k] ?? 0
    }
    this.give(block, sizeBits)
    return larger
  }

  get bytes(): number {
    return this.#segments.length * SEGMENT_SAMPLES * 10
  }

  /** What is left of the newest segment becomes free blocks, and another one begins. */
  #addSegment(): void {
    while (this.#next < this.#end) {
      const fits = 31 - Math.clz32(this.#end - this.#next)
      if (fits < SMALLEST_BITS) break
      this.give(this.#next, fits)
      this.#next += 1 << fits
    }
    const values = new Float64Array(SEGMENT_SAMPLES)
    this.#next = this.#segments.length * SEGMENT_SAMPLES
    this.#end = this.#next + SEGMENT_SAMPLES
    this.#segments.push({
      dts: new Uint16Array(SEGMENT_SAMPLES),
      values,
      words: new Int32Array(values.buffer),
    })
  }
}

/** Index of a block's first sample in the columns of its segment. */
export const baseOf = (block: number): number => block & (SEGMENT_SAMPLES - 1)
