/** Moments leave Postgres as integer milliseconds since 1970 UTC, rounded down. */
export const epochMs = (column: string): string =>
  `floor(extract(epoch from ${column}) * 1000)::bigint`
