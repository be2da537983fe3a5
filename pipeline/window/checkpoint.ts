/**
 * What one offset commit says about a partition. The committed offset is where a successor starts
 * to read; the metadata beside it says what the tables already hold:
 *
 *   offset    S   min(P, first offset of every open window): reading from here rebuilds them
 *   metadata  v2;P;C;maxTs
 *             P       every record before it is durable, corrections included
 *             C       every window that ends at or before it is final and durable
 *             maxTs   the newest believable event time before P
 *
 * v1 said the same, but was written by releases that kept no hours and days: they are made up for.
 */
import { CLOCK_SKEW_MS_MAX } from '../../schemas/telemetry.ts'
import { boundaryAfterMs } from './tumbling-windows.ts'

export type FoldCheckpoint = Readonly<{
  /** S */
  resumeOffset: number
  /** P */
  position: number
  /** C */
  closedToMs: number
  maxTsMs: number
  /** Hours and days that ended by then are in the tables. C, wherever that is known. */
  cascadedToMs: number
}>

export const checkpointMetadata = (c: FoldCheckpoint): string =>
  `v2;${c.position};${c.closedToMs};${c.maxTsMs}`

const METADATA = /^v([12]);(\d{1,16});(-?\d{1,16});(-?\d{1,16})$/

/** Undefined when the metadata is not ours: the caller then takes `distrustingCheckpoint`. */
export function parseCheckpoint(offset: number, metadata: string): FoldCheckpoint | undefined {
  const match = METADATA.exec(metadata)
  if (match === null) return undefined
  const [position, closedToMs, maxTsMs] = [Number(match[2]), Number(match[3]), Number(match[4])]
  const safe = [offset, position, closedToMs, maxTsMs].every(Number.isSafeInteger)
  if (!safe || position < offset) return undefined
  const cascadedToMs = match[1] === '1' ? 0 : closedToMs
  return { resumeOffset: offset, position, closedToMs, maxTsMs, cascadedToMs }
}

/** The start of a partition whose whole log is still there. */
export const freshCheckpoint = (offset: number): FoldCheckpoint => ({
  resumeOffset: offset,
  position: offset,
  closedToMs: 0,
  maxTsMs: 0,
  cascadedToMs: 0,
})

/**
 * The start when nothing is known of what is before `offset`: every window that an older record
 * could lie in counts as closed, so that it is recomputed from raw and never from memory.
 */
export const distrustingCheckpoint = (offset: number, largestAppendMs: number): FoldCheckpoint => ({
  resumeOffset: offset,
  position: offset,
  closedToMs: distrustedToMs(largestAppendMs),
  maxTsMs: 0,
  cascadedToMs: 0,
})

/** No record appended at or before the given time has a sample in a window that ends after this. */
export const distrustedToMs = (largestAppendMs: number): number =>
  boundaryAfterMs(largestAppendMs + CLOCK_SKEW_MS_MAX)
