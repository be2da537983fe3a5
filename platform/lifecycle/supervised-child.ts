/**
 * A child that is kept running: life after life, with growing pauses, until it is stopped, its
 * restart rule says that it is done, or it ended too often.
 *
 *   stopped -> starting -> ready -> (exit) -> backing_off -> starting …
 *                                          -> stopped        done, or asked to stop
 *                                          -> failed         ended too often
 */
import type { Clock } from '../clock.ts'
import { Failure } from '../failure.ts'
import { type Addresses, ChildLife, describeExit, type Exit } from './child-life.ts'
import type { ChildSpec, ChildState, ChildStatus } from './child-spec.ts'
import type { LastWill } from './last-will.ts'
import { type RestartPolicy, RestartWindow } from './restart-window.ts'

/** What a supervisor tells whoever prints progress, writes logs or records process ids. */
export type ChildEvent =
  | Readonly<{ kind: 'started'; id: string; pid: number }>
  | Readonly<{ kind: 'ready'; id: string; tookMs: number; addresses: Addresses }>
  | Readonly<{ kind: 'exited'; id: string; pid: number | undefined; exit: Exit; asked: boolean }>
  | Readonly<{ kind: 'stalled'; id: string }>
  | Readonly<{ kind: 'backing_off'; id: string; delayMs: number; restarts: number }>
  | Readonly<{ kind: 'will_done'; id: string; will: LastWill; tookMs: number }>
  | Readonly<{ kind: 'will_failed'; id: string; will: LastWill; error: unknown }>
  | Readonly<{ kind: 'gave_up'; id: string; failure: Failure }>

export type ChildSurroundings = Readonly<{
  clock: Clock
  /** In [0, 1): spreads restarts. */
  random: () => number
  policy: RestartPolicy
  heartbeatMissingMs: number
  onEvent: (event: ChildEvent) => void
  /** Does for a child what it ended without doing; undefined: nobody does. */
  executeWill: ((will: LastWill) => Promise<void>) | undefined
}>

export class SupervisedChild {
  readonly spec: ChildSpec
  readonly #around: ChildSurroundings
  readonly #restarts: RestartWindow
  #state: ChildState = 'stopped'
  #life: ChildLife | undefined
  #addresses: Addresses = {}
  #restartCount = 0
  #asked = false
  #executing: Promise<unknown> = Promise.resolve()
  #wake: () => void = () => {}

  constructor(spec: ChildSpec, around: ChildSurroundings) {
    this.spec = spec
    this.#around = around
    this.#restarts = new RestartWindow(around.policy)
  }

  /**
   * Resolves when the child is ready for the first time. Rejects with a Failure if this first life
   * ends before: what cannot start once is a matter for a person, not for a restart.
   */
  async start(): Promise<void> {
    if (this.#asked) throw new Failure('shutting_down', `${this.spec.id} was asked to stop.`)
    const life = this.#begin()
    try {
      await life.ready
    } catch (error) {
      if (!this.#asked) this.#state = 'failed'
      throw error
    }
    void this.#keepRunning(life)
  }

  /** Resolves when no process is left. The child's own shutdown deadline holds as well. */
  async stop(deadlineMs: number): Promise<void> {
    this.#asked = true
    this.#wake()
    if (this.#state !== 'failed') this.#state = 'stopping'
    await this.#life?.end(Math.min(deadlineMs, this.spec.shutdownMs))
    await this.#executing
    if (this.#state !== 'failed') this.#state = 'stopped'
  }

  /** Whether it does its part: it is ready, or it was allowed to end and did. */
  serves(): boolean {
    if (this.#state === 'ready') return true
    return this.#state === 'stopped' && !this.#asked && this.spec.restart !== 'permanent'
  }

  status(): ChildStatus {
    return {
      id: this.spec.id,
      state: this.#state,
      pid: this.#state === 'ready' || this.#state === 'starting' ? this.#life?.pid : undefined,
      restarts: this.#restartCount,
      addresses: this.#addresses,
    }
  }

  #begin(): ChildLife {
    const { spec } = this
    const { clock, onEvent, heartbeatMissingMs } = this.#around
    const startedAtMs = clock.monotonicMs()
    this.#state = 'starting'
    const stalled = () => onEvent({ kind: 'stalled', id: spec.id })
    const life = new ChildLife({ spec, heartbeatMissingMs, stalled })
    this.#life = life
    if (life.pid !== undefined) onEvent({ kind: 'started', id: spec.id, pid: life.pid })
    life.ready.then(
      (addresses) => {
        if (this.#asked) return
        this.#state = 'ready'
        this.#addresses = addresses
        const tookMs = Math.round(clock.monotonicMs() - startedAtMs)
        onEvent({ kind: 'ready', id: spec.id, tookMs, addresses })
      },
      () => {},
    )
    void life.exited.then((exit) =>
      onEvent({ kind: 'exited', id: spec.id, pid: life.pid, exit, asked: this.#asked }),
    )
    // At once, beside the restart: others wait for what the dead one had.
    this.#executing = life.exited.then(() => this.#execute(life.wills))
    return life
  }

  async #execute(wills: readonly LastWill[]): Promise<void> {
    const { clock, onEvent, executeWill } = this.#around
    if (executeWill === undefined) return
    const { id } = this.spec
    const startedMs = clock.monotonicMs()
    const executed = wills.map((will) =>
      executeWill(will).then(
        () => {
          const tookMs = Math.round(clock.monotonicMs() - startedMs)
          onEvent({ kind: 'will_done', id, will, tookMs })
        },
        (error: unknown) => onEvent({ kind: 'will_failed', id, will, error }),
      ),
    )
    await Promise.all(executed)
  }

  async #keepRunning(firstLife: ChildLife): Promise<void> {
    let life = firstLife
    for (;;) {
      const exit = await life.exited
      this.#addresses = {}
      if (this.#asked) return
      if (!wantsRestart(this.spec, exit)) {
        this.#state = 'stopped'
        return
      }
      const { clock, random } = this.#around
      const decision = this.#restarts.decide(clock.monotonicMs(), random())
      if (decision.kind === 'give_up') return this.#giveUp(exit)
      await this.#backOff(decision.delayMs)
      if (this.#asked) return
      life = this.#begin()
    }
  }

  async #backOff(delayMs: number): Promise<void> {
    this.#state = 'backing_off'
    this.#restartCount += 1
    const { onEvent } = this.#around
    onEvent({ kind: 'backing_off', id: this.spec.id, delayMs, restarts: this.#restartCount })
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #giveUp(exit: Exit): void {
    this.#state = 'failed'
    const { restartsMax, withinMs } = this.#around.policy
    const log = this.spec.logFile === undefined ? '' : ` Its output is in ${this.spec.logFile}.`
    const failure = new Failure(
      'unavailable',
      `${this.spec.id} ${describeExit(exit)} after ${restartsMax} restarts within ` +
        `${withinMs / 1_000} s; restarting does not help.${log}`,
    )
    this.#around.onEvent({ kind: 'gave_up', id: this.spec.id, failure })
  }
}

function wantsRestart({ restart }: ChildSpec, { code }: Exit): boolean {
  switch (restart) {
    case 'permanent':
      return true
    case 'transient':
      return code !== 0
    case 'temporary':
      return false
  }
}
