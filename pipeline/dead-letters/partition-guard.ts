/**
 * What stands between the records of one partition and its fold: the breaker, the wait for a
 * schema, the crash journal. Only the partition waits; whoever ends its ownership ends the wait.
 */
import type { Logger } from '../../platform/observe/logger.ts'
import { answerUnless, sleepUnless, type Timers } from '../timers.ts'
import type { DeadLetterStory } from './dead-letter-writer.ts'
import { type BreakerLimits, countsForBreaker, InvalidBreaker } from './invalid-breaker.ts'
import { type JournalOptions, PartitionJournal } from './partition-journal.ts'
import type { SchemaAnswer, SchemaQuestion, UnknownSchemas } from './unknown-schemas.ts'

type PauseReason = 'invalid_records' | 'schema_unknown'

export type GuardPorts = Readonly<{
  schemas: Pick<UnknownSchemas, 'resolve'>
  breaker: BreakerLimits
  /** Before which offset a person lets everything pass; rejects when the log does not answer. */
  passUpTo(partition: number): Promise<number>
  /** Told when a partition begins and ends to stand still. */
  paused(partition: number, reason: PauseReason, isPaused: boolean): void
  journal: Omit<JournalOptions, 'topic'>
  timers: Timers
  logger: Logger
}>

/** A record that is not passed yet, and why it cannot be taken. */
export type Refusal = Readonly<{
  offset: number
  timestampMs: number
  story: DeadLetterStory
  replayId: string | undefined
}>

const ASK_MS = 5_000

export class PartitionGuard {
  readonly journal: PartitionJournal
  readonly #ports: GuardPorts
  readonly #partition: number
  readonly #breaker: InvalidBreaker
  readonly #stop = new AbortController()
  #passTo = 0
  #readableBefore = 0

  constructor(
    ports: GuardPorts,
    { topic, partition, resumeOffset }: Readonly<{ topic: string; partition: number; resumeOffset: number }>, // prettier-ignore
  ) {
    this.#ports = ports
    this.#partition = partition
    this.#breaker = new InvalidBreaker(ports.breaker)
    this.journal = new PartitionJournal({ ...ports.journal, topic }, partition, resumeOffset)
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** Ends every wait; the record it was for is not passed. */
  stop(): void {
    this.#stop.abort()
  }

  /** The partition's ownership ends in peace. */
  close(): void {
    this.stop()
    this.journal.close()
  }

  /**
   * Whether an unreadable record may be dead-lettered, or is one too many. `readable` is how many
   * records of the partition were readable so far.
   */
  admits(offset: number, { stage }: DeadLetterStory, readable: number): boolean {
    this.#breaker.passed(readable - this.#readableBefore)
    this.#readableBefore = readable
    if (offset < this.#passTo || !countsForBreaker(stage)) return true
    return !this.#breaker.refuses()
  }

  async schemaOf(question: SchemaQuestion): Promise<SchemaAnswer> {
    const { schemas, paused } = this.#ports
    paused(this.#partition, 'schema_unknown', true)
    const answer = await schemas.resolve(question, this.#stop.signal)
    paused(this.#partition, 'schema_unknown', false)
    return answer
  }

  /** Resolves when the partition may go on: somebody said so, or the reason has gone. */
  async passage(refusal: Refusal): Promise<void> {
    const { paused, timers, logger } = this.#ports
    const { offset, story } = refusal
    const partition = this.#partition
    let isPaused = false
    while (!this.stopped && !(await this.#mayPass(refusal))) {
      if (!isPaused) {
        const { reason, detail } = story
        logger.error('a partition is paused: too many of its records are unreadable', {
          ...{ partition, offset, reason, detail },
          resume: `weir dlq resume --partition ${partition}`,
        })
        paused(partition, 'invalid_records', true)
      }
      isPaused = true
      await sleepUnless(timers, ASK_MS, this.#stop.signal)
    }
    if (!isPaused) return
    paused(partition, 'invalid_records', false)
    if (!this.stopped) logger.warn('a paused partition goes on', { partition, offset })
  }

  async #mayPass({ offset, timestampMs: appendMs, story, replayId }: Refusal): Promise<boolean> {
    try {
      const passes = this.#ports.passUpTo(this.#partition)
      this.#passTo = Math.max(this.#passTo, (await answerUnless(passes, this.#stop.signal)) ?? 0)
    } catch (error) {
      const fields = { partition: this.#partition, error: String(error) }
      this.#ports.logger.warn('nobody can say whether a paused partition may go on', fields)
    }
    let passes = offset < this.#passTo
    if (!passes && story.reason === 'schema_unknown' && story.schemaId !== undefined) {
      const { schemaId } = story
      passes = (await this.schemaOf({ schemaId, appendMs, replayId })) === 'readable'
    }
    if (passes) this.#breaker.reset()
    return passes
  }
}
