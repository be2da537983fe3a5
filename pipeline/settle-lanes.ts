/**
 * Settles flushes whose rows are written: a lane for each partition, in the order of its flushes.
 * A device that uploads days makes its partition's lane slow, and nobody else's.
 */
import type { Clock } from '../platform/clock.ts'
import { concurrencyLimit } from '../platform/flow/limit-concurrency.ts'
import { settledPart } from './window/fold-snapshot.ts'
import {
  type FlushPorts,
  type PartitionFlush,
  settle,
  type Settlement,
  type SettleTotals,
} from './write-flush.ts'

/** Lanes that read and write tables at once. */
const BUSY_LANES_MAX = 2

export type SettleLanesOptions = Readonly<{
  ports: FlushPorts
  clock: Pick<Clock, 'monotonicMs'>
  /** `tookMs` from add() to the commit, the wait behind others included. */
  settled(partition: number, totals: SettleTotals, tookMs: number): void
  /** A settlement failed for good: nothing of its lane may be committed any more. */
  failed(error: unknown): void
}>

export class SettleLanes {
  readonly #options: SettleLanesOptions
  readonly #limit = concurrencyLimit(BUSY_LANES_MAX)
  readonly #lanes = new Map<number, Lane>()

  constructor(options: SettleLanesOptions) {
    this.#options = options
  }

  /** Flushes of this partition that are not settled yet. */
  waiting(partition: number): number {
    return this.#lanes.get(partition)?.waiting ?? 0
  }

  add(flush: PartitionFlush): void {
    const { partition } = flush.snapshot
    const lane = this.#lanes.get(partition) ?? { waiting: 0, last: Promise.resolve() }
    this.#lanes.set(partition, lane)
    lane.waiting += 1
    const rest: Settlement = { ...flush, snapshot: settledPart(flush.snapshot) }
    const addedMs = this.#options.clock.monotonicMs()
    lane.last = lane.last.then(() => this.#settle(rest, lane, addedMs))
  }

  /** Resolves when nothing is left to settle. */
  async idle(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map(({ last }) => last))
  }

  /** Never rejects: a lane that failed stays as it is, and so does what waits behind. */
  async #settle(flush: Settlement, lane: Lane, addedMs: number): Promise<void> {
    if (lane.failed === true) return
    const { ports, clock, settled } = this.#options
    try {
      const totals = await this.#limit(() => settle(flush, ports))
      lane.waiting -= 1
      settled(flush.snapshot.partition, totals, clock.monotonicMs() - addedMs)
    } catch (error) {
      lane.failed = true
      this.#options.failed(error)
    }
  }
}

type Lane = { waiting: number; last: Promise<void>; failed?: boolean }
