/**
 * Keeps child processes running: ordered start, restart with jittered back-off, detection of
 * stalled roles, ordered stop. It holds no business code and opens nothing, so that it has no
 * reason to fail itself. When a child keeps ending, it stops the others and reports that upwards
 * through `failure`: a system with a missing part must not limp along unseen.
 *
 * Restarts are counted per child, unlike in OTP: when a server falls, every role that needs it may
 * fall once, and that must not add up to a crash loop of one.
 *
 * If this process is killed, roles notice the lost channel and drain. Ordinary programs live on:
 * record their ids from the `started` events, and end them at the next start.
 */
import type { Clock } from '../clock.ts'
import { Failure } from '../failure.ts'
import type { ChildSpec, ChildStatus } from './child-spec.ts'
import type { LastWill } from './last-will.ts'
import { RESTART_POLICY, type RestartPolicy } from './restart-window.ts'
import type { Service } from './service.ts'
import { type ChildEvent, SupervisedChild } from './supervised-child.ts'

export type SupervisorOptions = Readonly<{
  /** In start order, each after the one before is ready. A list within starts side by side. */
  children: readonly (ChildSpec | readonly ChildSpec[])[]
  clock: Clock
  random?: () => number
  policy?: RestartPolicy
  heartbeatMissingMs?: number
  onEvent?: (event: ChildEvent) => void
  /** Does for a child that ended what it left as its last will; must settle by itself. */
  executeWill?: (will: LastWill) => Promise<void>
}>

const HEARTBEAT_MISSING_MS = 15_000

export class Supervisor implements Service {
  readonly name = 'supervisor'
  readonly failure: Promise<never>
  readonly #groups: readonly (readonly SupervisedChild[])[]
  readonly #onEvent: (event: ChildEvent) => void
  readonly #clock: Clock
  #fail: (failure: Failure) => void = () => {}
  #draining: Promise<void> | undefined

  constructor(options: SupervisorOptions) {
    const around = {
      clock: options.clock,
      random: options.random ?? Math.random,
      policy: options.policy ?? RESTART_POLICY,
      heartbeatMissingMs: options.heartbeatMissingMs ?? HEARTBEAT_MISSING_MS,
      onEvent: (event: ChildEvent) => this.#noticed(event),
      executeWill: options.executeWill,
    }
    this.#clock = options.clock
    this.#onEvent = options.onEvent ?? (() => {})
    this.failure = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    this.#groups = options.children.map((group) =>
      (isGroup(group) ? group : [group]).map((spec) => new SupervisedChild(spec, around)),
    )
  }

  /** Rejects with the Failure of the first child that cannot start, after stopping the others. */
  async start(): Promise<void> {
    try {
      for (const group of this.#groups) {
        if (this.#draining !== undefined) throw new Failure('shutting_down', 'Asked to stop.')
        await Promise.all(group.map((child) => child.start()))
      }
    } catch (error) {
      await this.drain(Number.POSITIVE_INFINITY)
      throw error
    }
  }

  /** Stops in reverse order. A deadline shortens the children's own, it does not lengthen them. */
  drain(deadlineMs: number): Promise<void> {
    this.#draining ??= this.#stopAll(deadlineMs)
    return this.#draining
  }

  status(): readonly ChildStatus[] {
    return this.#groups.flat().map((child) => child.status())
  }

  notReady(): string | undefined {
    const missing = this.#groups.flat().filter((child) => !child.serves())
    if (missing.length === 0) return undefined
    return missing.map((child) => `${child.spec.id} is ${child.status().state}`).join(', ')
  }

  async #stopAll(deadlineMs: number): Promise<void> {
    const endMs = this.#clock.monotonicMs() + deadlineMs
    for (const group of this.#groups.toReversed()) {
      const leftMs = Math.max(0, endMs - this.#clock.monotonicMs())
      await Promise.all(group.map((child) => child.stop(leftMs)))
    }
  }

  #noticed(event: ChildEvent): void {
    this.#onEvent(event)
    if (event.kind !== 'gave_up') return
    void this.drain(Number.POSITIVE_INFINITY).then(() => this.#fail(event.failure))
  }
}

function isGroup(group: ChildSpec | readonly ChildSpec[]): group is readonly ChildSpec[] {
  return Array.isArray(group)
}
