/**
 * Writes the rows of all partitions of the process together, one flush at a time: few large
 * inserts instead of many small ones. A beat starts a flush, or enough waiting rows do. Settling
 * them goes on beside the next flush.
 */
import type { Clock } from '../platform/clock.ts'
import { type Timers } from './timers.ts'
import { SettleLanes } from './settle-lanes.ts'
import {
  type FlushPorts,
  type PartitionFlush,
  type RowTotals,
  type SettleTotals,
  writeRows,
} from './write-flush.ts'

export type FlushLoopOptions = Readonly<{
  intervalMs: number
  timers: Timers
  clock: Clock
  ports: FlushPorts
  /** The partitions that have something to flush, each from one moment. */
  collect(): Readonly<{ flushes: PartitionFlush[]; release: () => void }>
  flushed(totals: RowTotals, tookMs: number): void
  settled(partition: number, totals: SettleTotals, tookMs: number): void
}>

export class FlushLoop {
  /** Rejects when a flush fails for good; nothing is committed then. */
  readonly failure: Promise<never>
  readonly #options: FlushLoopOptions
  readonly #lanes: SettleLanes
  #fail: (error: unknown) => void = () => {}
  #cancel: () => void = () => {}
  #wake: () => void = () => {}
  /** The next beat is not waited for: somebody hurried, maybe while a flush was running. */
  #hurried = false
  /** Set while somebody hurries in a moment. */
  #cancelHurry: (() => void) | undefined
  #stopping = false
  #running: Promise<void> = Promise.resolve()

  constructor(options: FlushLoopOptions) {
    this.#options = options
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => undefined)
    const failed = (error: unknown): void => this.#failed(error)
    const { ports, clock, settled } = options
    this.#lanes = new SettleLanes({ ports, clock, settled, failed })
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => this.#failed(error))
  }

  /** Flushes of this partition that are written and not yet committed. */
  unsettled(partition: number): number {
    return this.#lanes.waiting(partition)
  }

  /** Flushes now instead of at the next beat, or as soon as the flush that is running is over. */
  hurry(): void {
    this.#hurried = true
    this.#wake()
  }

  /** Hurries after that long; who asks again before the next flush postpones nothing. */
  hurryAfter(delayMs: number): void {
    if (this.#stopping) return
    this.#cancelHurry ??= this.#options.timers.after(delayMs, () => this.hurry())
  }

  /** Flushes what there is once more; resolves when that is committed. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.hurry()
    await this.#running
    await this.#lanes.idle()
  }

  #failed(error: unknown): void {
    // While stopping, a flush that did not succeed only means a longer replay after the start.
    if (!this.#stopping) this.#fail(error)
  }

  async #run(): Promise<void> {
    let last = false
    while (!last) {
      await this.#beat()
      last = this.#stopping
      await this.#flush()
    }
  }

  #beat(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#cancel()
        this.#wake = () => {}
        resolve()
      }
      this.#wake = done
      this.#cancel = this.#options.timers.after(this.#options.intervalMs, done)
      if (this.#hurried) done()
    })
  }

  async #flush(): Promise<void> {
    const { clock, ports, collect, flushed } = this.#options
    // What is asked from here on may be about rows that this flush does not hold.
    this.#hurried = false
    this.#cancelHurry?.()
    this.#cancelHurry = undefined
    const { flushes, release } = collect()
    if (flushes.length === 0) return
    const startedMs = clock.monotonicMs()
    const totals = await writeRows(
      flushes.map((flush) => flush.snapshot),
      ports.sink,
    )
    release()
    flushed(totals, clock.monotonicMs() - startedMs)
    for (const flush of flushes) this.#lanes.add(flush)
  }
}
