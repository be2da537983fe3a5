/**
 * The contract of everything that runs. Three verbs, one order:
 *
 *   start()            resolves when the service is ready for work; rejects if it cannot be.
 *   drain(deadlineMs)  refuses new work, finishes what is in flight, closes; resolves when nothing
 *                      is left. After the deadline it closes anyway. Calling it twice is harmless.
 *   failure            rejects if the service dies by itself, and never settles otherwise. Whoever
 *                      composes services watches it; a service never ends the process.
 *
 * A composition root lists services downstream first: they start in that order, so that nobody is
 * offered work before the next stage can take it, and drain in the reverse order.
 */
export interface Service {
  readonly name: string
  readonly failure: Promise<never>
  start(): Promise<void>
  drain(deadlineMs: number): Promise<void>
  /** Why the service cannot serve right now, in a sentence for /readyz; undefined when it can. */
  notReady?(): string | undefined
  /** Why only a new process can help, in a sentence for /healthz; undefined while it lives. */
  stalled?(): string | undefined
}
