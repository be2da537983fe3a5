/**
 * What one offset commit says about a partition. The committed offset is where a successor starts
 * to read; the metadata beside it says what the tables already hold:
 *
 *   offset    S   min(P, first offset of every open window): reading from here rebuilds them
 *   metadata  v2;P;C;maxTs
 *             P       every record before it is durable, corrections included
 *             C       every window that ends at or before it is final and durable
 *             maxTs   the newest believable event time before P
 *             ;offsets of records in [S, P) that were dead-lettered whole, where there are any, each
 *             in base 36 as the distance from the one before, the first from S. Whether a record
 *             can be read may change between two readings (a schema is registered, a release reads
 *             more); what raw does not hold must not enter a window when it is rebuilt.
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
  /** Records in [S, P) that were passed unread, in ascending order. */
  skipped?: readonly number[]
}>

/** Kafka keeps 4,096 bytes. Beyond this the list is given up, and with it every window open now. */
const SKIPPED_CHARS_MAX = 3_000
/** Never a list, so that no reader takes it for one. */
const TOO_MANY = '*'

export function checkpointMetadata(c: FoldCheckpoint): string {
  const plain = `v2;${c.position};${c.closedToMs};${c.maxTsMs}`
  const { skipped = [] } = c
  if (skipped.length === 0) return plain
  const list = skipped.map((offset, at) => {
    return (offset - (skipped[at - 1] ?? c.resumeOffset)).toString(36)
  })
  const text = list.join(',')
  return `${plain};${text.length > SKIPPED_CHARS_MAX ? TOO_MANY : text}`
}

const METADATA =
  /^v([12]);(\d{1,16});(-?\d{1,16});(-?\d{1,16})(?:;([0-9a-z]{1,10}(?:,[0-9a-z]{1,10})*))?$/

/** Undefined when the metadata is not ours: the caller then takes `distrustingCheckpoint`. */
export function parseCheckpoint(offset: number, metadata: string): FoldCheckpoint | undefined {
  const match = METADATA.exec(metadata)
  if (match === null) return undefined
  const [position, closedToMs, maxTsMs] = [Number(match[2]), Number(match[3]), Number(match[4])]
  const safe = [offset, position, closedToMs, maxTsMs].every(Number.isSafeInteger)
  if (!safe || position < offset) return undefined
  const cascadedToMs = match[1] === '1' ? 0 : closedToMs
  const plain = { resumeOffset: offset, position, closedToMs, maxTsMs, cascadedToMs }
  if (match[5] === undefined) return plain
  if (match[1] === '1') return undefined
  const skipped: number[] = []
  for (const text of match[5].split(',')) {
    skipped.push((skipped.at(-1) ?? offset) + Number.parseInt(text, 36))
  }
  return (skipped.at(-1) ?? 0) < position ? { ...plain, skipped } : undefined
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
