/** How long to wait before the next attempt to connect. Pure: chance comes in as a number. */
export const BACKOFF = { firstMs: 500, longestMs: 20_000 } as const

/**
 * Doubles with every failed attempt (counted from 0) up to the longest; `chance` in [0, 1) spreads
 * it over the upper half, so that a thousand open dashboards do not come back in one instant.
 */
export function backoffMs(attempt: number, chance: number): number {
  const full = Math.min(BACKOFF.longestMs, BACKOFF.firstMs * 2 ** Math.min(attempt, 20))
  return Math.round(full / 2 + (full / 2) * chance)
}
