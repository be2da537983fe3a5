/**
 * The samples of open windows: time and value of each in two columns, ten bytes a sample, each
 * window's own block contiguous and sorted by time. Blocks are powers of two, split and joined as
 * buddies (Knowlton, CACM 1965), so that what a window has outgrown serves larger ones again. A
 * window holds at most one sample a millisecond, so the largest fits one segment.
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
  /** Of each smallest block: the size bits of the free block that begins there, else 0. */
  freeBits: Uint8Array
}>

/** The size class, a power of two, whose blocks hold so many samples. */
export const sizeBitsFor = (samples: number): number =>
  Math.max(SMALLEST_BITS, 32 - Math.clz32(Math.max(1, samples) - 1))

export class SamplePool {
  readonly #segments: SampleSegment[] = []
  /** By size; may name blocks that are not free any more, which `freeBits` tells. */
  readonly #free: number[][] = Array.from({ length: SEGMENT_BITS + 1 }, () => [])

  /** Address of a block of 2^sizeBits samples. */
  take(sizeBits: number): number {
    for (let bits = sizeBits; bits <= SEGMENT_BITS; bits += 1) {
      const block = this.#popFree(bits)
      if (block === undefined) continue
      this.#giveUpperHalves(block, bits, sizeBits)
      return block
    }
    this.#addSegment()
    return this.take(sizeBits)
  }

  /** Joins the block with its free neighbours. */
  give(block: number, sizeBits: number): void {
    let joined = block
    let bits = sizeBits
    for (; bits < SEGMENT_BITS; bits += 1) {
      const buddy = joined ^ (1 << bits)
      if (this.#freeBitsOf(buddy) !== bits) break
      this.#markFree(buddy, 0)
      joined &= ~(1 << bits)
    }
    this.#markFree(joined, bits)
    this.#free[bits]?.push(joined)
  }

  segmentOf(block: number): SampleSegment {
    const segment = this.#segments[block >>> SEGMENT_BITS]
    if (segment === undefined) throw new RangeError(`no samples at ${block}`)
    return segment
  }

  /** The block with twice the room that holds the given block's samples. */
  doubled(block: number, sizeBits: number): number {
    const larger = this.take(sizeBits + 1)
    const from = this.segmentOf(block)
    const to = this.segmentOf(larger)
    const a = baseOf(block)
    const b = baseOf(larger)
    const size = 1 << sizeBits
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

  #popFree(bits: number): number | undefined {
    const free = this.#free[bits]
    for (let block = free?.pop(); block !== undefined; block = free?.pop()) {
      if (this.#freeBitsOf(block) !== bits) continue
      this.#markFree(block, 0)
      return block
    }
    return undefined
  }

  #giveUpperHalves(block: number, fromBits: number, toBits: number): void {
    for (let bits = fromBits - 1; bits >= toBits; bits -= 1) {
      const upper = block + (1 << bits)
      this.#markFree(upper, bits)
      this.#free[bits]?.push(upper)
    }
  }

  #freeBitsOf(block: number): number {
    return this.segmentOf(block).freeBits[baseOf(block) >>> SMALLEST_BITS] ?? 0
  }

  #markFree(block: number, bits: number): void {
    this.segmentOf(block).freeBits[baseOf(block) >>> SMALLEST_BITS] = bits
  }

  #addSegment(): void {
    const values = new Float64Array(SEGMENT_SAMPLES)
    const block = this.#segments.length * SEGMENT_SAMPLES
    this.#segments.push({
      dts: new Uint16Array(SEGMENT_SAMPLES),
      values,
      words: new Int32Array(values.buffer),
      freeBits: new Uint8Array(SEGMENT_SAMPLES >>> SMALLEST_BITS),
    })
    this.give(block, SEGMENT_BITS)
  }
}

/** Index of a block's first sample in the columns of its segment. */
export const baseOf = (block: number): number => block & (SEGMENT_SAMPLES - 1)
