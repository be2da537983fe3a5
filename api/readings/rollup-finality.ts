/**
 * Whether a window that was merged from smaller rows can still change. Its rows being final is not
 * enough: a minute in which the device said nothing has no row, and may still get its first one.
 * A final row is the proof that event time has passed its end, for the whole partition.
 */
export type MergedRow = Readonly<{
  startSeconds: number
  count: number
  /** null when it is beyond the range of a 64-bit float. */
  sum: number | null
  min: number
  max: number
  first: number
  last: number
  firstText: string
  lastText: string
  /** 1 when every row of the window is final. */
  allFinal: number
  /** Start of the window's last final row; 0 when none is. */
  lastFinalSeconds: number
  version: number
}>

/** The rows in the same order, each with its finality. Errs towards "not final". */
export function withFinality(
  rows: readonly MergedRow[],
  lengths: Readonly<{ windowMs: number; rowMs: number }>,
): readonly (MergedRow & Readonly<{ final: boolean }>)[] {
  let closedUntilMs = 0
  for (const { lastFinalSeconds } of rows) {
    if (lastFinalSeconds === 0) continue
    closedUntilMs = Math.max(closedUntilMs, lastFinalSeconds * 1000 + lengths.rowMs)
  }
  return rows.map((row) => ({
    ...row,
    final: row.allFinal === 1 && row.startSeconds * 1000 + lengths.windowMs <= closedUntilMs,
  }))
}
