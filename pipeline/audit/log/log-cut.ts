/**
 * What of the log an audit may judge: the hours it was asked for, cut off at what the pipeline has
 * committed as processed. Beyond the cut rows may be on their way, so nothing is said of it.
 */
import type { LogAdmin } from '../../../platform/kafka/log.ts'
import { parseCheckpoint } from '../../window/checkpoint.ts'
import { HOUR_MS } from '../hour-tally.ts'
import type { OffsetSpan } from './log-range.ts'

type PartitionCut = Readonly<{
  /** What is audited: in the hours, in the log, and below P. */
  span: OffsetSpan
  /** P: every record before it is in the tables, corrections included. */
  position: number
  /** C: windows that end at or before it are final. */
  closedToMs: number
  /** Records of the hours at or beyond P. */
  openRecords: number
  /** Where each hour begins, ascending. */
  hourStarts: readonly number[]
}>

export type LogCut = Readonly<{
  fromMs: number
  toMs: number
  /** Starts of the hours that [fromMs, toMs) touches. */
  hoursMs: readonly number[]
  partitions: ReadonlyMap<number, PartitionCut>
  /** Records of the hours that the pipeline has not committed. */
  openRecords: number
  /** Hours whose first records the log may have lost to its retention. */
  truncatedHours: readonly number[]
}>

/** The range is [fromMs, toMs) of append time. Reads commits first: what they promise is durable. */
export async function readCut(
  admin: LogAdmin,
  what: Readonly<{ topic: string; group: string; fromMs: number; toMs: number }>,
): Promise<LogCut> {
  const { topic, group, fromMs, toMs } = what
  const committed = await admin.committed(group, topic)
  const range = await admin.offsetRange(topic)
  const hoursMs: number[] = []
  for (let hour = hourOf(fromMs); hour < toMs; hour += HOUR_MS) hoursMs.push(hour)
  const starts: ReadonlyMap<number, number>[] = []
  for (const hour of hoursMs) starts.push(await admin.offsetsAt(topic, Math.max(hour, fromMs)))
  const ends = await admin.offsetsAt(topic, toMs)

  const partitions = new Map<number, PartitionCut>()
  const truncated = new Set<number>()
  for (const [partition, { earliest, end }] of range) {
    const hourStarts = starts.map((offsets) => offsets.get(partition) ?? end)
    const from = hourStarts[0] ?? end
    const last = Math.max(from, ends.get(partition) ?? end)
    const { position, closedToMs } = progressOf(committed.get(partition))
    const to = Math.max(from, Math.min(last, position))
    partitions.set(partition, {
      span: { from, to },
      position,
      closedToMs,
      openRecords: last - to,
      hourStarts,
    })
    for (const [index, start] of hourStarts.entries()) {
      if (start === earliest && earliest > 0) truncated.add(hoursMs[index] ?? 0)
    }
  }
  let openRecords = 0
  for (const cut of partitions.values()) openRecords += cut.openRecords
  return { fromMs, toMs, hoursMs, partitions, openRecords, truncatedHours: [...truncated] }
}

/** The first hour in [fromMs, toMs) in which something arrived, or toMs; by halving. */
export async function firstBusyHour(
  admin: LogAdmin,
  what: Readonly<{ topic: string; fromMs: number; toMs: number }>,
): Promise<number> {
  const { topic, fromMs, toMs } = what
  const before = await admin.offsetsAt(topic, fromMs)
  const isEmptyUpTo = async (ms: number): Promise<boolean> => {
    const offsets = await admin.offsetsAt(topic, ms)
    return [...before].every(([partition, offset]) => offsets.get(partition) === offset)
  }
  // Nothing arrived before `low`; something did before `high`, or it is the end.
  let [low, high] = [0, Math.ceil((toMs - fromMs) / HOUR_MS)]
  if (await isEmptyUpTo(toMs)) return toMs
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (await isEmptyUpTo(fromMs + middle * HOUR_MS)) low = middle
    else high = middle
  }
  return fromMs + low * HOUR_MS
}

export const hourOf = (ms: number): number => Math.floor(ms / HOUR_MS) * HOUR_MS

/** The hour in which the record with this offset was appended. */
export function hourOfOffset(cut: LogCut, partition: number, offset: number): number {
  const starts = cut.partitions.get(partition)?.hourStarts ?? []
  let low = 0
  let high = starts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((starts[middle] ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return cut.hoursMs[Math.max(0, low - 1)] ?? hourOf(cut.fromMs)
}

/** P and C of a commit. Metadata that cannot be read promises no more than its offset does. */
export function progressOf(
  commit: Readonly<{ offset: number; metadata: string }> | undefined,
): Readonly<{ position: number; closedToMs: number }> {
  if (commit === undefined) return { position: 0, closedToMs: 0 }
  const { position, closedToMs } = parseCheckpoint(commit.offset, commit.metadata) ?? {
    position: commit.offset,
    closedToMs: 0,
  }
  return { position, closedToMs }
}
