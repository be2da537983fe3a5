/**
 * Counts bytes that wait somewhere and says whether more may come: closed at the high mark, open
 * again at the low mark, so that a producer that was stopped does not flicker.
 */
export class ByteGate {
  readonly #highBytes: number
  readonly #lowBytes: number
  #bytes = 0
  #waiting: PromiseWithResolversOf<void> | undefined

  constructor(limits: Readonly<{ highBytes: number; lowBytes: number }>) {
    this.#highBytes = limits.highBytes
    this.#lowBytes = limits.lowBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False from the moment that the high mark is reached. */
  hasRoom(): boolean {
    return this.#waiting === undefined && this.#bytes < this.#highBytes
  }

  /** Resolves at once when there is room, otherwise when the low mark is reached. */
  room(): Promise<void> {
    if (this.hasRoom()) return Promise.resolve()
    this.#waiting ??= withResolvers()
    return this.#waiting.promise
  }

  /** Never refuses: whoever adds without asking overshoots by that much. */
  add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes >= this.#highBytes) this.#waiting ??= withResolvers()
  }

  remove(bytes: number): void {
    this.#bytes -= bytes
    if (this.#waiting === undefined || this.#bytes > this.#lowBytes) return
    this.#waiting.resolve()
    this.#waiting = undefined
  }
}

type PromiseWithResolversOf<T> = Readonly<{ promise: Promise<T>; resolve: (value: T) => void }>

// Promise.withResolvers needs Node 22.
function withResolvers(): PromiseWithResolversOf<void> {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
