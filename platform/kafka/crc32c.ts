/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of a Kafka record batch. Slicing by
 * eight: eight table look-ups per eight bytes, so that the checksum costs less than copying.
 */
const POLYNOMIAL = 0x82f63b78
const SLICES = 8
const TABLES = tables()

/** Row k of the table is the checksum of a byte followed by k zero bytes. */
function tables(): Int32Array {
  const rows = new Int32Array(SLICES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    rows[byte] = crc
  }
  for (let at = 256; at < rows.length; at++) {
    const shorter = rows[at - 256] ?? 0
    rows[at] = (shorter >>> 8) ^ (rows[shorter & 0xff] ?? 0)
  }
  return rows
}

/** Words are read as the machine keeps them, which has to be as the checksum wants them. */
const READS_WORDS = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
/** A view costs as much as this many bytes. */
const WORDS_FROM_BYTES = 64

/** The checksum of bytes[start, end), as an unsigned 32-bit number. */
export function crc32c(bytes: Buffer, start: number, end: number): number {
  if (!READS_WORDS || end - start < WORDS_FROM_BYTES) return ~overBytes(-1, bytes, start, end) >>> 0
  const { buffer, byteOffset } = bytes
  const firstWord = start + (-(byteOffset + start) & 3)
  const pairs = (end - firstWord) >>> 3
  let crc = overBytes(-1, bytes, start, firstWord)
  crc = overWords(crc, new Int32Array(buffer, byteOffset + firstWord, pairs * 2))
  return ~overBytes(crc, bytes, firstWord + pairs * SLICES, end) >>> 0
}

// `?? 0` never happens below: the indexes are bounded, and the optimiser removes the test.

function overBytes(before: number, bytes: Buffer, start: number, end: number): number {
  let crc = before
  for (let at = start; at < end; at++) {
    crc = (crc >>> 8) ^ (TABLES[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0)
  }
  return crc
}

/** Four times as fast as reading the words out of a Buffer. */
function overWords(before: number, words: Int32Array): number {
  let crc = before
  for (let at = 0; at < words.length; at += 2) {
    const low = (words[at] ?? 0) ^ crc
    const high = words[at + 1] ?? 0
    crc =
      (TABLES[1792 + (low & 0xff)] ?? 0) ^
      (TABLES[1536 + ((low >>> 8) & 0xff)] ?? 0) ^
      (TABLES[1280 + ((low >>> 16) & 0xff)] ?? 0) ^
      (TABLES[1024 + (low >>> 24)] ?? 0) ^
      (TABLES[768 + (high & 0xff)] ?? 0) ^
      (TABLES[512 + ((high >>> 8) & 0xff)] ?? 0) ^
      (TABLES[256 + ((high >>> 16) & 0xff)] ?? 0) ^
      (TABLES[high >>> 24] ?? 0)
  }
  return crc
}
