/** Moments cross the border to Postgres as integer milliseconds since 1970 UTC. */

/** A moment of a column, rounded down. */
export const epochMs = (column: string): string =>
  `floor(extract(epoch from ${column}) * 1000)::bigint`

/** The moment that a parameter names; null stays null. */
export const momentOf = (parameter: string): string =>
  `to_timestamp(${parameter}::double precision / 1000)`
