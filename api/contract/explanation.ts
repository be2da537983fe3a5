/**
 * GET /v1/devices/{id}/explain?metric&start&resolution&kind&limit&cursor: one window laid open. Its
 * samples with their places in the log, the rows that were stored of it, and whether the newest of
 * them is what its samples add up to.
 */
import type { Rollup, SeriesKind, StoredResolution, Value } from './resources.ts'

export type Explanation = {
  device: string
  metric: string
  /** Null: nothing was ever stored of this metric. */
  kind: SeriesKind | null
  resolution: StoredResolution
  /** The window is [start, end), and holds the time that was asked for. */
  start: number
  end: number
  verdict: ExplanationVerdict
  /** The verdict as a sentence. */
  detail: string
  /** Field by field: the newest stored row, and the samples folded again for this answer. */
  checks: FieldCheck[]
  /** The rows that are in the table now, newest first, at most 100; the older ones are cleared away in time. */
  revisions: StoredRevision[]
  /** How many samples the window has; null when there are more than are folded again. */
  sampleCount: number | null
  /** A page of them, oldest first. */
  samples: ExplainedSample[]
  next: string | null
}

/**
 * equal: the newest row is what the samples add up to. differs: it is not, and should be.
 * provisional: it is not, and the window can still change. not_stored: there are samples and no row
 * yet. not_checked: samples may have expired, or are too many. empty: there is nothing.
 */
export const EXPLANATION_VERDICTS = [
  'equal',
  'differs',
  'provisional',
  'not_stored',
  'not_checked',
  'empty',
] as const
export type ExplanationVerdict = (typeof EXPLANATION_VERDICTS)[number]

/** `sketch` shows how many samples it holds, and compares every bin. */
export type FieldCheck = {
  field: string
  stored: Value | null
  folded: Value | null
  equal: boolean
}

export type StoredRevision = Rollup & {
  firstAt: number
  lastAt: number
  partition: number
  /** The row holds every sample up to this offset of its partition. */
  offset: number
  topicEpoch: number
  /** Which fold made it: raised when windows are recomputed under new rules. */
  foldEpoch: number
}

export type ExplainedSample = {
  at: number
  value: Value
  partition: number
  offset: number
  /** False: the device sent no time, and the sample carries the time it was received. */
  stamped: boolean
  /** The time the device claimed, where its message was restamped. */
  deviceAt?: number
  /** Other deliveries for the same time that are in the table still: the earliest one counts. */
  lost?: { partition: number; offset: number; value: Value }[]
}
