/**
 * Versions of stored rows. A rollup row written at the version of offset v holds every sample of
 * its window up to v, whoever wrote it, so the highest version is right in any order of arrival.
 *
 *   ver = topicEpoch (8 bits) | offset (48) | foldEpoch (8), high to low
 *   inv = 2^63 - (topicEpoch << 48 | offset): of raw rows with one key the earliest delivery wins
 *
 * telemetry.v1 has topic epoch 0, so a version is a safe integer until offsets pass 2^45. The fold
 * epoch says by which rules the row was folded, and is in the low bits: on top, rows of an older
 * release that got a partition back would lose to rows with fewer samples.
 */

/** Raised whenever the fold gives another row for the same samples. */
export const FOLD_EPOCH = 2
const FOLD_EPOCHS = 256
const OFFSET_END = 2 ** 45

/** Version of a row that holds every sample up to and including this offset. */
export function versionOf(offset: number, foldEpoch: number): number {
  if (!(offset >= 0 && offset < OFFSET_END)) throw new RangeError(`offset out of range: ${offset}`)
  return offset * FOLD_EPOCHS + foldEpoch
}

/** Version of a raw row: larger for earlier offsets. */
export const invOf = (offset: number): bigint => (1n << 63n) - BigInt(offset)

/**
 * The same of many offsets, as words of 32 bits, the lower one first: no bigint for each sample,
 * and no object.
 */
export function invWords(offsets: ArrayLike<number>, rows: number): Uint32Array {
  const words = new Uint32Array(rows * 2)
  for (let row = 0; row < rows; row += 1) {
    const offset = offsets[row] ?? 0
    const high = Math.floor(offset / TWO_TO_32)
    const low = offset - high * TWO_TO_32
    words[2 * row] = -low
    words[2 * row + 1] = low === 0 ? TWO_TO_31 - high : TWO_TO_31 - high - 1
  }
  return words
}

const TWO_TO_32 = 0x1_0000_0000
const TWO_TO_31 = 0x8000_0000
