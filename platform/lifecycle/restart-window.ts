/**
 * How often a child may be restarted, and how long to wait before each time. Pure arithmetic over
 * the times of the latest restarts: the more of them lie in the window, the longer the wait; one
 * more than allowed means that restarting does not help, and somebody above has to know.
 */
export type RestartPolicy = Readonly<{
  /** At most so many restarts … */
  restartsMax: number
  /** … within so long. */
  withinMs: number
  firstDelayMs: number
  delayMsMax: number
}>

export const RESTART_POLICY: RestartPolicy = {
  restartsMax: 5,
  withinMs: 30_000,
  firstDelayMs: 200,
  delayMsMax: 5_000,
}

export type RestartDecision =
  | Readonly<{ kind: 'restart'; delayMs: number }>
  | Readonly<{ kind: 'give_up' }>

export class RestartWindow {
  readonly #policy: RestartPolicy
  #restartsAtMs: readonly number[] = []

  constructor(policy: RestartPolicy) {
    this.#policy = policy
  }

  /** A child ended at `nowMs`. `jitter` in [0, 1) spreads children that fell together. */
  decide(nowMs: number, jitter: number): RestartDecision {
    const { restartsMax, withinMs, firstDelayMs, delayMsMax } = this.#policy
    const recent = this.#restartsAtMs.filter((atMs) => nowMs - atMs < withinMs)
    if (recent.length >= restartsMax) return { kind: 'give_up' }
    this.#restartsAtMs = [...recent, nowMs]
    const delayMs = Math.min(delayMsMax, firstDelayMs * 2 ** recent.length)
    return { kind: 'restart', delayMs: Math.round(delayMs * (0.5 + jitter / 2)) }
  }
}
