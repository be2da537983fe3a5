/**
 * The 64-bit id of a series: a hash of device, metric and kind, as two unsigned 32-bit halves,
 * because bigint arithmetic would cost more than the hash. Ids are stored, so this function can
 * never change. It is no defence against chosen names: two names with one id are refused when the
 * series row is written, and the tenant beside the id keeps tenants apart in every case.
 */
import type { SeriesKind } from '../../schemas/window-update.ts'

export type SeriesId = Readonly<{ high: number; low: number }>

/** Device ids and metrics may hold any characters: lengths are mixed in, so no two splits agree. */
export function seriesIdOf(device: string, metric: string, kind: SeriesKind): SeriesId {
  let a = 0x6a09e667 ^ device.length
  let b = 0xbb67ae85 ^ metric.length
  for (const part of [device, metric, kind]) {
    for (let i = 0; i < part.length; i += 1) {
      const unit = part.charCodeAt(i)
      a = Math.imul(rotated(a ^ unit, 13), 0x9e3779b1)
      b = Math.imul(rotated(b + unit, 17) ^ a, 0x85ebca77)
    }
    a = (a + b) | 0
  }
  const high = avalanche(a ^ rotated(b, 16))
  const low = avalanche(b + Math.imul(high, 0x27d4eb2f))
  return { high: high >>> 0, low: low >>> 0 }
}

/** The id as one number, for SQL and for people. */
export const seriesIdAsBigint = (id: SeriesId): bigint => (BigInt(id.high) << 32n) | BigInt(id.low)

const rotated = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

function avalanche(word: number): number {
  let h = word ^ (word >>> 16)
  h = Math.imul(h, 0x21f0aaad)
  h ^= h >>> 15
  h = Math.imul(h, 0x735a2d97)
  return h ^ (h >>> 15)
}
