/**
 * Whether the live feed moves. Every partition of telemetry.v1 gets a tick from the pipeline every
 * few seconds, so a fleet that says nothing is heard all the same, and a reader that hears nothing
 * at all knows that Kafka or the pipeline is down.
 *
 *   flowing ──nothing for silenceMs──▶ standing ──a record──▶ flowing
 */
import type { LiveStatus } from '../contract/live.ts'

type LiveFlowOptions = Readonly<{ silenceMs: number; checkEveryMs: number }>
/** Monotonic time, and the time of day; see Clock. */
type Now = Readonly<{ monotonicMs: number; nowMs: number }>

const FLOWING: LiveStatus = { flowing: true }

export class LiveFlow {
  readonly #options: LiveFlowOptions
  readonly #watchers = new Set<(status: LiveStatus) => void>()
  #status = FLOWING
  #heard = false
  #silentMs = 0
  #checkedAtMs: number | undefined
  #beganMs: number | undefined
  /** When the newest record was appended. */
  #newestMs: number | undefined

  constructor(options: LiveFlowOptions) {
    this.#options = options
  }

  get status(): LiveStatus {
    return this.#status
  }

  /** Told of every change. The answer ends it. */
  watch(watcher: (status: LiveStatus) => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Records came; the last of them was appended at this time. */
  heard(appendedAtMs: number): void {
    this.#heard = true
    this.#newestMs = Math.max(this.#newestMs ?? 0, appendedAtMs)
    if (!this.#status.flowing) this.#become(FLOWING)
  }

  /**
   * To be called every `checkEveryMs`. A check that comes late says that this process did not run
   * meanwhile, not that nothing came: it counts as two at most.
   */
  check({ monotonicMs, nowMs }: Now): void {
    const passedMs = Math.max(0, monotonicMs - (this.#checkedAtMs ?? monotonicMs))
    this.#checkedAtMs = monotonicMs
    this.#beganMs ??= nowMs
    this.#silentMs = this.#heard
      ? 0
      : this.#silentMs + Math.min(passedMs, 2 * this.#options.checkEveryMs)
    this.#heard = false
    if (this.#silentMs < this.#options.silenceMs || !this.#status.flowing) return
    this.#become({
      flowing: false,
      // Before the first record nobody knows better than since the watch began.
      sinceMs: this.#newestMs ?? this.#beganMs,
      detail: 'nothing comes from the log: Kafka or the pipeline is down',
    })
  }

  #become(status: LiveStatus): void {
    this.#status = status
    for (const watcher of this.#watchers) watcher(status)
  }
}
