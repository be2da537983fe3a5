/**
 * A process under the rig's hand: it is kept running like in production, unless the rig wants it
 * down. Signals go to its process id and to nothing else.
 */
import { systemClock } from '../../../platform/clock.ts'
import type { ChildSpec } from '../../../platform/lifecycle/child-spec.ts'
import { executeMembershipWill } from '../../../platform/kafka/leave-group.ts'
import { Supervisor } from '../../../platform/lifecycle/supervisor.ts'
import { endedOnInterruption } from './endings.ts'

/** A rig kills more often than a supervisor would stand. */
const POLICY = { restartsMax: 100_000, withinMs: 1_000, firstDelayMs: 100, delayMsMax: 1_000 }
/** A stopped process must not be killed for its silence: it is to wake up as a zombie. */
const HEARTBEAT_MISSING_MS = 600_000

export class Unit {
  /** Changes take effect with the next start(). */
  spec: ChildSpec
  #supervisor: Supervisor | undefined
  #readyWaiters: (() => void)[] = []
  #exits = 0
  #ended: () => void = () => {}

  constructor(spec: ChildSpec) {
    this.spec = spec
  }

  get pid(): number | undefined {
    return this.#supervisor?.status()[0]?.pid
  }

  get running(): boolean {
    return this.#supervisor?.status()[0]?.state === 'ready'
  }

  /** How often it ended, asked or not. */
  get exits(): number {
    return this.#exits
  }

  async start(): Promise<void> {
    this.#ended = endedOnInterruption(() => this.killForGood())
    this.#supervisor = new Supervisor({
      children: [this.spec],
      clock: systemClock,
      policy: POLICY,
      heartbeatMissingMs: HEARTBEAT_MISSING_MS,
      executeWill: executeMembershipWill,
      onEvent: ({ kind }) => {
        if (kind === 'exited') this.#exits += 1
        if (kind === 'ready') for (const ready of this.#readyWaiters.splice(0)) ready()
      },
    })
    this.#supervisor.failure.catch(() => {}) // A rig looks at what devices and tables say.
    await this.#supervisor.start()
  }

  /** Without effect on a process that is gone already. */
  signal(signal: NodeJS.Signals): boolean {
    const { pid } = this
    if (pid === undefined) return false
    try {
      return process.kill(pid, signal)
    } catch {
      return false // It ended in this very moment; its supervisor knows.
    }
  }

  /** Resolves when it is ready for the next time. */
  ready(): Promise<void> {
    return new Promise((resolve) => this.#readyWaiters.push(resolve))
  }

  /** SIGKILL, and down until start(). */
  async killForGood(): Promise<void> {
    this.signal('SIGKILL')
    await this.#supervisor?.drain(0)
    this.#ended()
  }

  /** SIGTERM, and down until start(). */
  async stop(): Promise<void> {
    this.signal('SIGCONT')
    await this.#supervisor?.drain(Number.POSITIVE_INFINITY)
    this.#ended()
  }
}
