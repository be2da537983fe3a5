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

/** The checksum of bytes[start, end), as an unsigned 32-bit number. */
export function crc32c(bytes: Buffer, start: number, end: number): number {
  let crc = -1
  let at = start
  for (const last = end - SLICES; at <= last; at += SLICES) {
    const low = bytes.readInt32LE(at) ^ crc
    const high = bytes.readInt32LE(at + 4)
    // `?? 0` never happens: the index is bounded, and the optimiser removes the test.
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
  for (; at < end; at++) crc = (crc >>> 8) ^ (TABLES[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0)
  return ~crc >>> 0
}
