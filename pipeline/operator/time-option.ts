/** Times as people give them on a command line. */
import { Failure } from '../../platform/failure.ts'

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * `2h` ago (s, m, h, d), ms since 1970, or RFC 3339; empty: `otherwise`. Throws `config_invalid`
 * with the flag's name when it is none of these.
 */
export function timeOf(
  flag: string,
  text: string,
  { nowMs, otherwise }: Readonly<{ nowMs: number; otherwise: number }>,
): number {
  if (text === '') return otherwise
  const ago = /^(\d{1,9})([smhd])$/.exec(text)
  if (ago !== null) return nowMs - Number(ago[1]) * (UNITS_MS[ago[2] ?? ''] ?? 0)
  // Date.parse() alone takes a bare number for a month.
  const isDate = /^\d{4}-\d{2}-\d{2}/.test(text)
  const atMs = /^\d{10,16}$/.test(text) ? Number(text) : isDate ? Date.parse(text) : NaN
  if (Number.isFinite(atMs)) return atMs
  throw new Failure(
    'config_invalid',
    `${flag} must be a time like 2026-01-31T12:00:00Z, 1769860800000 or 2h (ago), not "${text}"`,
  )
}
