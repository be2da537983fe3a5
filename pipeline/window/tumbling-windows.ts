/**
 * The windows that are folded from samples: they tile event time from 1970 UTC, do not overlap,
 * and hold the times in [start, start + size). Each size divides the next one, so that the cells
 * of the largest cover whole smaller windows.
 */
export const RESOLUTIONS_MS = [10_000, 60_000] as const

/** The largest window. Reading raw samples back by cells of this size covers every resolution. */
export const CELL_MS = 60_000

/** Start of the window of this size that holds the given time. */
export const windowStartMs = (tsMs: number, sizeMs: number): number =>
  Math.floor(tsMs / sizeMs) * sizeMs

/** The first window boundary of every resolution that lies after the given time. */
export const boundaryAfterMs = (tsMs: number): number => windowStartMs(tsMs, CELL_MS) + CELL_MS
