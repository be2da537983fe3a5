/**
 * What a new subscription's snapshot needs from ClickHouse: the newest values of devices that have
 * not spoken since this process began to read. The live feed does not wait for a database: when it
 * is slow or down the snapshot is what is known here, and another follows when it has answered.
 */
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import { newestOfDevices } from '../readings/newest-values.ts'
import type { TelemetryReader } from '../readings/telemetry-reader.ts'
import type { LatestValues } from './latest-values.ts'
import type { Interest } from './subscription.ts'
import { setTimeout as pause } from 'node:timers/promises'

/** How long a snapshot waits for the database before it goes out without. */
const PATIENCE_MS = 1_000
const RETRY_MS = 1_000
const RETRY_MS_MAX = 15_000
/** Questions under way at once, over all sockets. */
const LOADS_MAX = 4
/** A tenant's whole fleet is asked for again after this, however many subscribe. */
const FLEET_FRESH_MS = 10_000

type HistoryLoaderParts = Readonly<{
  latest: LatestValues
  telemetry: TelemetryReader
  clock: Clock
  logger: Logger
}>
/** `ready` is called once or twice: a better snapshot is possible now. Never after the abort. */
type LoadRequest = Readonly<{ signal: AbortSignal; ready: () => void }>

export class HistoryLoader {
  readonly #parts: HistoryLoaderParts
  readonly #fleets = new Map<string, Readonly<{ atMs: number; loaded: Promise<void> }>>()
  readonly #waiting: (() => void)[] = []
  #loading = 0

  constructor(parts: HistoryLoaderParts) {
    this.#parts = parts
  }

  load(tenant: string, interest: Interest, request: LoadRequest): void {
    if (interest.stream === 'rollups') return request.ready()
    void this.#load(tenant, interest, request)
  }

  async #load(tenant: string, interest: Interest, { signal, ready }: LoadRequest): Promise<void> {
    const early = setTimeout(ready, PATIENCE_MS)
    signal.addEventListener('abort', () => clearTimeout(early), { once: true })
    for (let waitMs = RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      try {
        await this.#once(tenant, interest, signal)
        clearTimeout(early)
        if (!signal.aborted) ready()
        return
      } catch (error) {
        this.#parts.logger.warn('the newest values cannot be read now', { error })
      }
      await pause(waitMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  async #once(tenant: string, { devices }: Interest, signal: AbortSignal): Promise<void> {
    if (devices === '*') return this.#fleet(tenant)
    await this.#inTurn(async () => {
      // Whoever subscribes and leaves in a loop waits in line, and asks the database nothing.
      if (!signal.aborted) await newestOfDevices(this.#parts, tenant, [...devices])
    })
  }

  #fleet(tenant: string): Promise<void> {
    const { clock } = this.#parts
    const known = this.#fleets.get(tenant)
    if (known !== undefined && clock.monotonicMs() - known.atMs < FLEET_FRESH_MS)
      return known.loaded
    const loaded = this.#inTurn(() => this.#loadFleet(tenant))
    this.#fleets.set(tenant, { atMs: clock.monotonicMs(), loaded })
    loaded.catch(() => this.#fleets.delete(tenant))
    return loaded
  }

  async #loadFleet(tenant: string): Promise<void> {
    const { telemetry, latest, clock } = this.#parts
    for (const row of await telemetry.newestOfFleet(tenant, clock.nowMs())) {
      latest.offer(tenant, row)
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#loading >= LOADS_MAX) await new Promise<void>((go) => this.#waiting.push(go))
    this.#loading += 1
    try {
      return await work()
    } finally {
      this.#loading -= 1
      this.#waiting.shift()?.()
    }
  }
}
