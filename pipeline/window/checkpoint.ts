/**
 * What one offset commit says about a partition. The committed offset is where a successor starts
 * to read; the metadata beside it says what the tables already hold:
 *
 *   offset    S   min(P, first offset of every open window): reading from here rebuilds them
 *   metadata  v3;P;C;maxTs;S;skipped;sum
 *             P       every record before it is durable, corrections included
 *             C       every window that ends at or before it is final and durable
 *             maxTs   the newest believable event time before P
 *             S       again: an offset that was moved alone is not what the rest speaks of
 *             skipped offsets of records in [S, P) that were dead-lettered whole, each in base 36 as
 *                     the distance from the one before, the first from S. Whether a record can be
 *                     read may change between two readings (a schema is registered, a release reads
 *                     more); what raw does not hold must not enter a window when it is rebuilt.
 *             sum     CRC-32 of all before it, in hex: nobody writes such a line by hand
 *
 * Releases before wrote v2;P;C;maxTs and ;skipped where there were any. v1 said the same, but those
 * releases kept no hours and days: they are made up for.
 */
import { crc32 } from 'node:zlib'
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
  const { skipped = [] } = c
  const list = skipped.map((offset, at) => {
    return (offset - (skipped[at - 1] ?? c.resumeOffset)).toString(36)
  })
  const text = list.join(',')
  const numbers = [c.position, c.closedToMs, c.maxTsMs, c.resumeOffset].join(';')
  const line = `v3;${numbers};${text.length > SKIPPED_CHARS_MAX ? TOO_MANY : text}`
  return `${line};${sumOf(line)}`
}

const sumOf = (line: string): string => crc32(line).toString(16).padStart(8, '0')

const SUMMED = /^(v3;[^;]*;[^;]*;[^;]*);(\d{1,16});([^;]*);([0-9a-f]{8})$/
const PLAIN =
  /^v([123]);(\d{1,16});(-?\d{1,16});(-?\d{1,16})(?:;([0-9a-z]{1,10}(?:,[0-9a-z]{1,10})*))?$/

/**
 * Undefined when the metadata is not ours, or not of this offset: the caller then takes
 * `distrustingCheckpoint`.
 */
export function parseCheckpoint(offset: number, metadata: string): FoldCheckpoint | undefined {
  const summed = SUMMED.exec(metadata)
  if (summed === null) return metadata.startsWith('v3') ? undefined : parsePlain(offset, metadata)
  const [, numbers = '', start, skipped = '', sum = ''] = summed
  if (sum !== sumOf(metadata.slice(0, -1 - sum.length)) || Number(start) !== offset)
    return undefined
  return parsePlain(offset, skipped === '' ? numbers : `${numbers};${skipped}`)
}

function parsePlain(offset: number, metadata: string): FoldCheckpoint | undefined {
  const match = PLAIN.exec(metadata)
  if (match === null) return undefined
  const [position, closedToMs, maxTsMs] = [Number(match[2]), Number(match[3]), Number(match[4])]
  const safe = [offset, position, closedToMs, maxTsMs].every(Number.isSafeInteger)
  if (!safe || position < offset) return undefined
  // Without a sum: records were passed, and no time. Where it was so, little is lost by doubt.
  if (match[1] !== '3' && position > 0 && closedToMs === 0 && maxTsMs === 0) return undefined
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

/** Whether no time of a checkpoint is ahead of what a log can hold whose newest record is this old. */
export const isBelievable = (
  { closedToMs, maxTsMs }: FoldCheckpoint,
  largestAppendMs: number,
): boolean =>
  closedToMs <= distrustedToMs(largestAppendMs) && maxTsMs <= largestAppendMs + CLOCK_SKEW_MS_MAX

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
