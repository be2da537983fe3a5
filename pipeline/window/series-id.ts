/**
 * The 64-bit id of a series: a hash of device, metric and kind, as two unsigned 32-bit halves, as
 * the tables' columns take them. Ids are stored, so neither function can ever change.
 *
 *   with a salt   SHA-256 over the salt of the deployment and the name. Devices choose their names,
 *                 so nobody outside may be able to compute two names with one id.
 *   without       the hash of deployments that are older than the salt. Two names with one id are
 *                 found within seconds on any computer.
 *
 * Two names with one id are refused when the series row is written, and the tenant beside the id
 * keeps tenants apart in every case.
 */
import { hash } from 'node:crypto'
import type { SeriesKind } from '../../schemas/window-update.ts'

export type SeriesId = Readonly<{ high: number; low: number }>

type SeriesName = Readonly<{ device: string; metric: string; kind: SeriesKind }>

/**
 * The salt is that of the deployment (pipeline/sinks/series-salt.ts), empty where it is older than
 * the salt. Device ids and metrics may hold any characters: lengths are mixed in, so no two splits agree.
 */
export function seriesIdOf(name: SeriesName, salt: string): SeriesId {
  return salt === '' ? unsaltedId(name) : saltedId(name, salt)
}

function saltedId({ device, metric, kind }: SeriesName, salt: string): SeriesId {
  const lengths = `${salt.length}:${device.length}:${metric.length}:`
  const digest = hash('sha256', `${lengths}${salt}${device}${metric}${kind}`, 'buffer')
  return { high: digest.readUInt32BE(0), low: digest.readUInt32BE(4) }
}

function unsaltedId({ device, metric, kind }: SeriesName): SeriesId {
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
