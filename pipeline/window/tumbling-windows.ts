/**
 * The windows of every resolution: they tile event time from 1970 UTC, do not overlap, and hold
 * the times in [start, start + size). Each size divides the next one, so that the cells of the
 * largest cover whole smaller windows.
 */

/** Sizes of the windows that are folded from samples. */
export const RESOLUTIONS_MS = [10_000, 60_000] as const

/** Windows that are merged from smaller ones, in the order in which that must happen. */
export const CASCADES = [
  { childMs: 60_000, parentMs: 3_600_000 },
  { childMs: 3_600_000, parentMs: 86_400_000 },
] as const

/** Reading raw samples back by cells of this size covers every resolution. */
export const CELL_MS = 60_000

/** Start of the window of this size that holds the given time. */
export const windowStartMs = (tsMs: number, sizeMs: number): number =>
  Math.floor(tsMs / sizeMs) * sizeMs

/** The first boundary of every folded window that lies after the given time. */
export const boundaryAfterMs = (tsMs: number): number => windowStartMs(tsMs, CELL_MS) + CELL_MS
