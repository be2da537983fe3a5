/**
 * A LogWriter for tests that makes records durable when it is told to, in any order, and is full
 * when it is told to be: what real logs do rarely and at bad moments.
 */
import { Failure } from '../../platform/failure.ts'
import type { LogWriter, OutgoingRecord } from '../../platform/kafka/log.ts'

export type HeldRecord = Readonly<{
  topic: string
  partition: number
  record: OutgoingRecord
  store: () => void
}>

export class HoldingWriter implements LogWriter {
  readonly name = 'holding-writer'
  readonly failure = new Promise<never>(() => undefined)
  /** Everything that was appended, oldest first. */
  readonly records: HeldRecord[] = []
  /** True: records are durable in the next microtask, as if the log were infinitely fast. */
  storesAtOnce: boolean
  queuedBytes = 0
  #full = false
  #roomWaiters: (() => void)[] = []
  #appendWaiters: { count: number; resolve: () => void }[] = []
  readonly #lose: ((failure: Failure) => void)[] = []

  constructor(options: Readonly<{ storesAtOnce: boolean }>) {
    this.storesAtOnce = options.storesAtOnce
  }

  append(topic: string, partition: number, record: OutgoingRecord): Promise<void> {
    const durable = this.storesAtOnce
      ? Promise.resolve()
      : new Promise<void>((resolve, reject) => {
          this.#lose.push(reject)
          this.records.push({ topic, partition, record, store: resolve })
        })
    if (this.storesAtOnce) this.records.push({ topic, partition, record, store: () => undefined })
    this.#appendWaiters = this.#appendWaiters.filter(({ count, resolve }) => {
      if (this.records.length < count) return true
      resolve()
      return false
    })
    return durable
  }

  /** Resolves once this many records were appended since the start. */
  appended(count: number): Promise<void> {
    if (this.records.length >= count) return Promise.resolve()
    return new Promise((resolve) => this.#appendWaiters.push({ count, resolve }))
  }

  hasRoom(): boolean {
    return !this.#full
  }

  room(): Promise<void> {
    if (!this.#full) return Promise.resolve()
    return new Promise((resolve) => this.#roomWaiters.push(resolve))
  }

  setFull(full: boolean): void {
    this.#full = full
    if (full) return
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const resolve of waiters) resolve()
  }

  async start(): Promise<void> {}

  async drain(): Promise<void> {
    for (const lose of this.#lose) lose(new Failure('shutting_down', 'the writer was closed'))
  }
}
