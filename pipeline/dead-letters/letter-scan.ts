/** Reads the dead-letter topic as it is now, once, and sorts letters from marks. */
import type { Log } from '../../platform/kafka/log.ts'
import { sleepUnless, systemTimers } from '../timers.ts'
import { readLetter, type Letter } from './letter.ts'

export type LetterFilter = Readonly<{
  reasons: readonly string[]
  stages: readonly string[]
  tenant: string
  device: string
  /** Of the letter, not of its record. */
  sinceMs: number
  untilMs: number
  /** -1: all. */
  partition: number
  /** One letter of the partition; undefined: all. */
  offset?: number | undefined
}>

export type LetterVisitor = Readonly<{
  /** The letter and its buffers are good until this returns. */
  letter(letter: Letter): void
  /** Letters of this partition that a replay produced again. */
  replayed(partition: number, offsets: readonly number[]): void
  /** After the letters of one batch of a partition; the next ones wait for it. */
  batchDone?(partition: number): Promise<void>
}>

export function matches(filter: LetterFilter, letter: Letter): boolean {
  const { reasons, stages, tenant, device, sinceMs, untilMs, offset } = filter
  return (
    letter.atMs >= sinceMs &&
    letter.atMs < untilMs &&
    (offset === undefined || letter.offset === offset) &&
    (reasons.length === 0 || reasons.includes(letter.reason)) &&
    (stages.length === 0 || stages.includes(letter.stage)) &&
    (tenant === '' || tenant === letter.tenant) &&
    (device === '' || device === letter.device)
  )
}

/** What to read of each partition, [from, to); nothing where both are its end. */
export type LetterRanges = ReadonlyMap<number, Readonly<{ from: number; to: number }>>

/** Where the letters of a filter can lie. Marks come after their letters, so `to` is the end. */
export async function rangesOf(
  log: Log,
  topic: string,
  filter: Pick<LetterFilter, 'sinceMs' | 'partition'>,
): Promise<LetterRanges> {
  const admin = log.admin()
  try {
    const all = await admin.offsetRange(topic)
    const since = filter.sinceMs > 0 ? await admin.offsetsAt(topic, filter.sinceMs) : undefined
    const ranges = new Map<number, { from: number; to: number }>()
    for (const [partition, { earliest, end }] of all) {
      const unwanted = filter.partition >= 0 && filter.partition !== partition
      const from = Math.max(earliest, since?.get(partition) ?? earliest)
      ranges.set(partition, { from: unwanted ? end : from, to: end })
    }
    return ranges
  } finally {
    await admin.close()
  }
}

/** How often a scan looks whether somebody deletes what it waits for. */
const LOOK_MS = 500

/** Resolves when every record of the ranges was visited that is still there. */
export async function scanLetters(
  log: Log,
  topic: string,
  ranges: LetterRanges,
  visitor: LetterVisitor,
): Promise<void> {
  const missing = new Set([...ranges].filter(([, { from, to }]) => from < to).map(([p]) => p))
  if (missing.size === 0) return
  const inHand = new Set<number>()
  const { promise: done, resolve: finish } = promised()
  const consumer = log.consumer({
    name: 'dead-letter-reader',
    group: undefined,
    topics: [topic],
    handler: {
      assigned: async ({ partition }) => ranges.get(partition)?.from ?? 0,
      revoked: () => {},
      batch: async (batch) => {
        const { partition } = batch
        inHand.add(partition)
        const to = ranges.get(partition)?.to ?? 0
        batch.forEach((record) => {
          if (record.offset >= to) return
          const read = readLetter(partition, record)
          if (read.kind === 'letter') visitor.letter(read.letter)
          else visitor.replayed(partition, read.mark.offsets)
        })
        await visitor.batchDone?.(partition)
        inHand.delete(partition)
        if (batch.lastOffset + 1 >= to) missing.delete(partition)
        if (missing.size === 0) finish()
      },
    },
  })
  const purged = untilPurged(log, topic, { ranges, missing, inHand })
  await consumer.start()
  try {
    await Promise.race([done, purged.all, consumer.failure])
  } finally {
    purged.stop()
    await consumer.drain(2_000)
  }
}

type Awaited = Readonly<{
  ranges: LetterRanges
  missing: Set<number>
  /** Partitions whose visitor still works at what was read. */
  inHand: ReadonlySet<number>
}>

/** Resolves when what is missing will never come: the log begins behind it. */
function untilPurged(log: Log, topic: string, { ranges, missing, inHand }: Awaited) {
  const stop = new AbortController()
  async function look(): Promise<void> {
    const admin = log.admin()
    try {
      while (!stop.signal.aborted) {
        await sleepUnless(systemTimers, LOOK_MS, stop.signal)
        const now = await admin.offsetRange(topic)
        for (const partition of missing) {
          const to = ranges.get(partition)?.to ?? 0
          if (inHand.has(partition)) continue
          if ((now.get(partition)?.earliest ?? Infinity) >= to) missing.delete(partition)
        }
        if (missing.size === 0) return
      }
    } finally {
      await admin.close()
    }
  }
  const all = look()
  all.catch(() => undefined) // Where nobody waits any more, the answer is not needed.
  return { all, stop: () => stop.abort() }
}

function promised() {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
