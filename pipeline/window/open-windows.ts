/**
 * The open windows of a partition, a hundred bytes each in typed arrays, known by slot numbers.
 * A window keeps its samples sorted by time and folds them when somebody asks: those added at the
 * end go on from where the fold was, one that came out of order makes it begin anew. Of two
 * samples with one time the first wins, as the earliest offset does in the raw table.
 */
import { foldNumbers, NUMBERS_PER_WINDOW } from './fold-numbers.ts'
import { baseOf, SamplePool, type SampleSegment, sizeBitsFor } from './sample-pool.ts'
import type { Series } from './series.ts'

const BLOCK_BITS = 12
const BLOCK_WINDOWS = 1 << BLOCK_BITS
export const NONE = -1

/** Content that is ahead of the tables, or of live readers. */
export const UNFLUSHED = 1
export const UNPUBLISHED = 2

/** Some thousands of windows, a column for each property. */
export class WindowBlock {
  readonly series: (Series | undefined)[] = new Array(BLOCK_WINDOWS).fill(undefined)
  readonly startMs = new Float64Array(BLOCK_WINDOWS)
  /** Offset of the record that opened it: a successor must read from here to rebuild it. */
  readonly firstOffset = new Float64Array(BLOCK_WINDOWS)
  readonly resolution = new Uint8Array(BLOCK_WINDOWS)
  readonly flags = new Uint8Array(BLOCK_WINDOWS)
  /** The next older window of the same series and resolution. */
  readonly older = new Int32Array(BLOCK_WINDOWS)
  /** The next window with the same resolution and start. */
  readonly neighbour = new Int32Array(BLOCK_WINDOWS)
  readonly count = new Int32Array(BLOCK_WINDOWS)
  /** Samples that are in the numbers already. */
  readonly folded = new Int32Array(BLOCK_WINDOWS)
  readonly samples = new Int32Array(BLOCK_WINDOWS)
  readonly sizeBits = new Uint8Array(BLOCK_WINDOWS)
  readonly numbers = new Float64Array(BLOCK_WINDOWS * NUMBERS_PER_WINDOW)
}

const ZERO = new Float64Array(1)

export type Texts = { first: string; last: string }

export class OpenWindows {
  readonly pool = new SamplePool()
  readonly #blocks: WindowBlock[] = []
  readonly #free: number[] = []
  readonly #texts = new Map<number, Texts>()
  #end = 0

  /** The block of a slot; the window is at `indexOf(slot)` in each of its columns. */
  blockOf(slot: number): WindowBlock {
    const block = this.#blocks[slot >>> BLOCK_BITS]
    if (block === undefined) throw new RangeError(`no window ${slot}`)
    return block
  }

  /** `expected`: how many samples it will likely get. */
  // oxlint-disable-next-line max-params -- once per window
  open(
    series: Series,
    resolution: number,
    startMs: number,
    firstOffset: number,
    expected: number,
  ): number {
    const slot = this.#free.pop() ?? this.#fresh()
    const block = this.blockOf(slot)
    const i = indexOf(slot)
    const sizeBits = sizeBitsFor(expected)
    block.series[i] = series
    block.startMs[i] = startMs
    block.firstOffset[i] = firstOffset
    block.resolution[i] = resolution
    block.flags[i] = 0
    block.older[i] = NONE
    block.neighbour[i] = NONE
    block.count[i] = 0
    block.folded[i] = 0
    block.samples[i] = this.pool.take(sizeBits)
    block.sizeBits[i] = sizeBits
    return slot
  }

  close(slot: number): void {
    const block = this.blockOf(slot)
    const i = indexOf(slot)
    this.pool.give(block.samples[i] ?? 0, block.sizeBits[i] ?? 0)
    block.series[i] = undefined
    block.flags[i] = 0
    this.#texts.delete(slot)
    this.#free.push(slot)
  }

  /** Adds the k-th of some values. False when a sample of this time is there; that one stays. */
  // oxlint-disable-next-line max-params -- once per sample and resolution
  insert(slot: number, dt: number, from: Float64Array, k: number): boolean {
    const block = this.blockOf(slot)
    const i = indexOf(slot)
    const count = block.count[i] ?? 0
    const at = count === 0 ? 0 : this.#placeOf(block, i, dt)
    if (at < 0) return false
    if (count === 1 << (block.sizeBits[i] ?? 0)) this.#grow(block, i)
    const samples = block.samples[i] ?? 0
    const segment = this.pool.segmentOf(samples)
    const base = baseOf(samples)
    if (at < count) {
      moveUp(segment, base + at, base + count)
      if (at < (block.folded[i] ?? 0)) block.folded[i] = 0
    }
    segment.dts[base + at] = dt
    segment.values[base + at] = from[k] ?? NaN
    block.count[i] = count + 1
    return true
  }

  /** The same for a text, of which only the first and the last are kept. */
  insertText(slot: number, dt: number, text: string): boolean {
    if (!this.insert(slot, dt, ZERO, 0)) return false
    const [block, i] = [this.blockOf(slot), indexOf(slot)]
    const [samples, count] = [block.samples[i] ?? 0, block.count[i] ?? 0]
    const { dts } = this.pool.segmentOf(samples)
    const texts = this.#texts.get(slot)
    if (texts === undefined) {
      this.#texts.set(slot, { first: text, last: text })
      return true
    }
    if (dts[baseOf(samples)] === dt) texts.first = text
    if (dts[baseOf(samples) + count - 1] === dt) texts.last = text
    return true
  }

  textsOf(slot: number): Texts | undefined {
    return this.#texts.get(slot)
  }

  /** Brings a window's numbers up to its samples. */
  fold(slot: number): void {
    const block = this.blockOf(slot)
    const i = indexOf(slot)
    const count = block.count[i]
    const folded = block.folded[i]
    const samples = block.samples[i]
    if (count === undefined || folded === undefined || samples === undefined) return
    if (folded === count) return
    const { dts, values } = this.pool.segmentOf(samples)
    const at = i * NUMBERS_PER_WINDOW
    foldNumbers(block.numbers, at, dts, values, baseOf(samples), folded, count)
    block.folded[i] = count
  }

  /** Where a sample of this time belongs; negative when there is one already. */
  #placeOf(block: WindowBlock, i: number, dt: number): number {
    const samples = block.samples[i] ?? 0
    const { dts } = this.pool.segmentOf(samples)
    const base = baseOf(samples)
    let to = block.count[i] ?? 0
    if ((dts[base + to - 1] ?? 0) < dt) return to
    let from = 0
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((dts[base + middle] ?? 0) < dt) from = middle + 1
      else to = middle
    }
    return dts[base + from] === dt ? NONE : from
  }

  #grow(block: WindowBlock, i: number): void {
    const sizeBits = block.sizeBits[i] ?? 0
    block.samples[i] = this.pool.doubled(block.samples[i] ?? 0, sizeBits)
    block.sizeBits[i] = sizeBits + 1
  }

  #fresh(): number {
    if (this.#end === this.#blocks.length << BLOCK_BITS) this.#blocks.push(new WindowBlock())
    this.#end += 1
    return this.#end - 1
  }
}

/** Makes room for one sample at `from`. */
function moveUp({ dts, values }: SampleSegment, from: number, to: number): void {
  dts.copyWithin(from + 1, from, to)
  values.copyWithin(from + 1, from, to)
}

/** Index of a slot in the columns of its block. */
export const indexOf = (slot: number): number => slot & (BLOCK_WINDOWS - 1)
