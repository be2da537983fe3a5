/**
 * Reads a range of offsets of each partition once, in order, as a private reader that commits
 * nothing. One batch is handed out at a time, so that whoever takes them is never overrun.
 */
import { Failure } from '../../../platform/failure.ts'
import type { Log, LogBatch } from '../../../platform/kafka/log.ts'
import { every, type Timers } from '../../timers.ts'

export type LogRangePorts = Readonly<{ log: Log; timers: Timers; signal: AbortSignal }>
/** [from, to) */
export type OffsetSpan = Readonly<{ from: number; to: number }>

/** Nothing came for one to two of these, and nothing is being worked on: the log does not answer. */
const STALL_CHECK_MS = 30_000
const CLOSING_MS = 2_000

/** `take` gets batches that may reach beyond the span: it looks at offsets below `to` only. */
export async function readLogRange(
  parts: LogRangePorts,
  what: Readonly<{ name: string; topic: string; spans: ReadonlyMap<number, OffsetSpan> }>,
  take: (batch: LogBatch, span: OffsetSpan) => Promise<void>,
): Promise<void> {
  const left = new Map([...what.spans].filter(([, { from, to }]) => from < to))
  if (left.size === 0) return
  const reading = new Reading(left, take)
  const consumer = parts.log.consumer({
    name: what.name,
    group: undefined,
    topics: [what.topic],
    handler: {
      assigned: async ({ topic, partition }) => {
        const next = reading.nextOf(partition)
        if (next === undefined) consumer.pause(topic, partition)
        return next ?? 0
      },
      revoked: () => {},
      batch: async (batch) => {
        const done = await reading.take(batch)
        if (done) consumer.pause(batch.topic, batch.partition)
      },
    },
  })
  const stopWatching = every(parts.timers, STALL_CHECK_MS, () => reading.checkStall(what.topic))
  const abort = (): void => reading.fail(new Failure('shutting_down', 'asked to stop'))
  parts.signal.addEventListener('abort', abort)
  if (parts.signal.aborted) abort()
  try {
    await Promise.race([consumer.start(), reading.finished])
    await Promise.race([reading.finished, consumer.failure])
  } finally {
    parts.signal.removeEventListener('abort', abort)
    stopWatching()
    await consumer.drain(CLOSING_MS)
  }
}

/** What of the spans is left, and the turn of who takes the next batch. */
class Reading {
  readonly finished: Promise<void>
  readonly #left: Map<number, OffsetSpan>
  readonly #take: (batch: LogBatch, span: OffsetSpan) => Promise<void>
  #finish: () => void = () => {}
  #fail: (reason: Error) => void = () => {}
  #turn: Promise<void> = Promise.resolve()
  #working = 0
  #isSilent = false

  constructor(
    left: Map<number, OffsetSpan>,
    take: (batch: LogBatch, span: OffsetSpan) => Promise<void>,
  ) {
    this.#left = left
    this.#take = take
    this.finished = new Promise((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
    })
    this.finished.catch(() => {}) // Whoever reads races it; it may fail between two awaits.
  }

  nextOf(partition: number): number | undefined {
    return this.#left.get(partition)?.from
  }

  /** True when nothing of this partition is wanted any more. */
  async take(batch: LogBatch): Promise<boolean> {
    this.#working += 1
    const before = this.#turn
    const turn = before.then(() => this.#takeNow(batch))
    this.#turn = turn.then(() => {})
    this.#turn.catch(() => {}) // The batch's own promise carries it.
    try {
      return await turn
    } finally {
      this.#working -= 1
      this.#isSilent = false
    }
  }

  fail(reason: Error): void {
    this.#fail(reason)
  }

  checkStall(topic: string): void {
    if (this.#working === 0 && this.#isSilent) {
      const where = [...this.#left].map(([partition, { from }]) => `${partition}:${from}`).join(' ')
      this.#fail(new Failure('unavailable', `nothing comes from ${topic} at ${where}`))
    }
    this.#isSilent = true
  }

  async #takeNow(batch: LogBatch): Promise<boolean> {
    const span = this.#left.get(batch.partition)
    if (span === undefined) return true
    await this.#take(batch, span)
    const next = batch.lastOffset + 1
    if (next < span.to) {
      this.#left.set(batch.partition, { from: next, to: span.to })
      return false
    }
    this.#left.delete(batch.partition)
    if (this.#left.size === 0) this.#finish()
    return true
  }
}
