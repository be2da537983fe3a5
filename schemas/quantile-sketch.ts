/**
 * Counts of values in bins whose width grows with the value: enough for every percentile, at a
 * stated error, and mergeable by adding counts. Bins are cut out of the bits of the double, so
 * that every machine and every version puts a value into the same one.
 *
 *   |value|  in  [2^e * (1 + s/64), 2^e * (1 + (s+1)/64))   e from -255 to 255, s from 0 to 63
 *   bin      =   sign * ((e + 255) * 64 + s + 1); bin 0 is zero and what lies nearer to it
 *
 * A value read back from its bin is wrong by at most 1/128 of itself (0.8 %), as long as it lies
 * between 2^-255 and 2^256 in size (1.7e-77 to 1.2e77). The scheme is that of DDSketch (Masson,
 * Rim, Lee, VLDB 2019) with bins linear inside each power of two.
 */
const BINS_PER_OCTAVE = 64
const EXPONENT_MAX = 255
const BIN_MAX = 2 * EXPONENT_MAX * BINS_PER_OCTAVE + BINS_PER_OCTAVE

/** The largest error of a percentile, as a share of its value. */
export const QUANTILE_RELATIVE_ERROR = 1 / 128

/** The bin of a finite value, given the upper 32 bits of its IEEE 754 double. */
export function binOfHighBits(high: number): number {
  // Eleven bits of exponent and the first six of the mantissa stand next to each other.
  const bin = ((high & 0x7fff_ffff) >>> 14) - (1023 - EXPONENT_MAX) * BINS_PER_OCTAVE + 1
  if (bin <= 0) return 0
  const size = bin < BIN_MAX ? bin : BIN_MAX
  return high < 0 ? -size : size
}

const double = new DataView(new ArrayBuffer(8))

export function binOf(value: number): number {
  double.setFloat64(0, value)
  return binOfHighBits(double.getInt32(0))
}

/** The value that stands for a bin: none in it is further away than the stated error. */
export function valueOfBin(bin: number): number {
  if (bin === 0) return 0
  const index = Math.abs(bin) - 1
  const lower = 1 + (index % BINS_PER_OCTAVE) / BINS_PER_OCTAVE
  const upper = lower + 1 / BINS_PER_OCTAVE
  const middle = (2 * lower * upper) / (lower + upper)
  const scale = 2 ** (Math.floor(index / BINS_PER_OCTAVE) - EXPONENT_MAX)
  return Math.sign(bin) * middle * scale
}

/**
 * The value below which the given share of the counted values lies (the nearest rank: of n values
 * the ceil(q n)th). Undefined when nothing was counted.
 */
export function quantileOf(
  counts: ReadonlyMap<number, number>,
  q: number,
  bounds: Readonly<{ min: number; max: number }>,
): number | undefined {
  const bins = [...counts].sort(([a], [b]) => a - b)
  const total = bins.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return undefined
  const rank = Math.max(1, Math.ceil(q * total))
  if (rank === 1) return bounds.min
  if (rank >= total) return bounds.max
  let passed = 0
  for (const [bin, count] of bins) {
    passed += count
    if (passed >= rank) return Math.min(Math.max(valueOfBin(bin), bounds.min), bounds.max)
  }
  return bounds.max
}
