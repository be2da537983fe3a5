/**
 * The one who decides what happens next. Everything that takes time outside of a process (a call
 * to the tables, a fetch, a commit, a timer) waits here as an event until its seeded turn comes.
 * Between two events every promise runs to its end, so that a run is a function of its seed.
 */
import type { Timers } from '../../pipeline/timers.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Random } from './random.ts'

/** Whose events these are: a process may stand still, and be gone for good. */
export type Owner = {
  readonly name: string
  /** Stopped (SIGSTOP): nothing that it waits for reaches it. */
  frozen: boolean
  gone: boolean
}

export type Pending = Readonly<{
  owner: Owner
  what: string
  run: () => void
  /** What the world may still do when the owner is gone: the request was on its way. */
  orphan: (() => void) | undefined
}>

type Timer = Readonly<{ owner: Owner; dueMs: number; task: () => void }>

export class Scheduler {
  readonly random: Random
  nowMs: number
  /** What happened, for people; kept only when asked for. */
  readonly story: string[] | undefined
  steps = 0
  readonly #pending: Pending[] = []
  readonly #orphans: Pending[] = []
  readonly #timers = new Map<Owner, Set<Timer>>()

  constructor(random: Random, startMs: number, traced: boolean) {
    this.random = random
    this.nowMs = startMs
    this.story = traced ? [] : undefined
  }

  tell(line: () => string): void {
    this.story?.push(`${this.steps} ${line()}`)
  }

  post(event: Pending): void {
    if (!event.owner.gone) this.#pending.push(event)
  }

  /** A question to the outside: answered, by the world of that moment, in its turn. */
  ask<T>(owner: Owner, what: string, answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(answer())
        } catch (error) {
          reject(error)
        }
      }
      this.post({ owner, what, run, orphan: undefined })
    })
  }

  /** Resolves when no promise can get any further without an event. */
  static settled(): Promise<void> {
    // Node runs a tick only when the queue of promises is empty.
    return new Promise((resolve) => {
      process.nextTick(resolve)
    })
  }

  /** Runs a random event whose owner is not frozen; false when there is none. */
  runEvent(): boolean {
    for (let tries = 0; tries < 8 && this.#pending.length > 0; tries += 1) {
      const index = this.random.below(this.#pending.length)
      const event = this.#pending[index]
      if (event === undefined || event.owner.frozen) continue
      this.#remove(this.#pending, index)
      this.tell(() => `${event.owner.name}: ${event.what}`)
      event.run()
      return true
    }
    return false
  }

  /** Lets something of a process that is gone take effect after all. */
  runOrphan(): boolean {
    if (this.#orphans.length === 0) return false
    const index = this.random.below(this.#orphans.length)
    const event = this.#orphans[index]
    this.#remove(this.#orphans, index)
    this.tell(() => `${event?.owner.name} (gone): ${event?.what}`)
    event?.orphan?.()
    return true
  }

  /** Fires the next timer of a random process, at its time or later. */
  runTimer(): boolean {
    const owners = [...this.#timers.keys()].filter((owner) => !owner.frozen)
    const owner = this.random.some(owners)
    const timers = owner === undefined ? undefined : this.#timers.get(owner)
    let first: Timer | undefined
    for (const timer of timers ?? []) {
      if (first === undefined || timer.dueMs < first.dueMs) first = timer
    }
    if (first === undefined) return false
    timers?.delete(first)
    this.nowMs = Math.max(this.nowMs, first.dueMs)
    this.tell(() => `${first.owner.name}: a timer fires`)
    first.task()
    return true
  }

  timersOf(owner: Owner): Timers {
    const mine = new Set<Timer>()
    this.#timers.set(owner, mine)
    return {
      after: (delayMs, task) => {
        if (owner.gone) return () => {}
        const timer = { owner, dueMs: this.nowMs + delayMs, task }
        mine.add(timer)
        return () => mine.delete(timer)
      },
    }
  }

  /** The clock on that machine, off by so much. */
  clockOf(skewMs: () => number): Clock {
    return { nowMs: () => this.nowMs + skewMs(), monotonicMs: () => this.nowMs }
  }

  /** Ends a process where it stands: nobody will hear its answers, some requests still arrive. */
  abandon(owner: Owner): void {
    owner.gone = true
    this.#timers.delete(owner)
    for (let index = this.#pending.length - 1; index >= 0; index -= 1) {
      const event = this.#pending[index]
      if (event?.owner !== owner) continue
      this.#remove(this.#pending, index)
      if (event.orphan !== undefined && this.random.chance(0.5)) this.#orphans.push(event)
    }
  }

  #remove(list: Pending[], index: number): void {
    const last = list.pop()
    if (last !== undefined && index < list.length) list[index] = last
  }
}
