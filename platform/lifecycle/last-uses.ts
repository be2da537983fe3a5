/**
 * When things were last used, written down in batches: a use costs an entry in a map, and whoever
 * reads the column learns of it a little later.
 */
import type { Clock } from '../clock.ts'
import type { Logger } from '../observe/logger.ts'
import type { Service } from './service.ts'

type Options<T> = Readonly<{
  name: string
  everyMs: number
  keyOf: (used: T) => string
  write: (uses: readonly Readonly<{ used: T; atMs: number }>[]) => Promise<void>
  clock: Clock
  logger: Logger
}>

export class LastUses<T> implements Service {
  readonly name: string
  /** Never settles: what cannot be written now is written with the next batch. */
  readonly failure: Promise<never> = new Promise(() => {})
  readonly #options: Options<T>
  #uses = new Map<string, Readonly<{ used: T; atMs: number }>>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: Options<T>) {
    this.name = options.name
    this.#options = options
  }

  note(used: T): void {
    this.#uses.set(this.#options.keyOf(used), { used, atMs: this.#options.clock.nowMs() })
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => {
      this.#writing = this.#writing.then(() => this.#write())
    }, this.#options.everyMs)
    this.#timer.unref()
  }

  async drain(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    await this.#write()
  }

  async #write(): Promise<void> {
    const uses = this.#uses
    if (uses.size === 0) return
    this.#uses = new Map()
    try {
      await this.#options.write([...uses.values()])
    } catch (error) {
      this.#uses = new Map([...uses, ...this.#uses])
      this.#options.logger.warn(`${this.name} cannot be written down now`, { error: String(error) })
    }
  }
}
