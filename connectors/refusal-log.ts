/**
 * Tells the log that a device's messages are refused. MQTT 3.1.1 acknowledges them like any other,
 * so this line, the counter and the dead letter are all that its builder gets. A device that keeps
 * on is told of once a minute with the number since, and a fleet that does so all at once is cut
 * off after a screenful: the counters have the rest.
 */
import type { Logger } from '../platform/observe/logger.ts'
import type { DeadLetterReason } from '../schemas/dead-letter.ts'
import type { DeviceLane } from './device-lanes.ts'

export type Refusal = Readonly<{
  protocol: string
  reason: DeadLetterReason
  detail: string
  receivedAtMs: number
}>

const QUIET_MS = 60_000
const LINES_PER_MINUTE_MAX = 30

export class RefusalLog {
  readonly #logger: Logger
  readonly #told = new WeakMap<DeviceLane, { atMs: number; untold: number }>()
  #minute = 0
  #lines = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  refused(lane: DeviceLane, { protocol, reason, detail, receivedAtMs }: Refusal): void {
    const known = this.#told.get(lane)
    if (known !== undefined && Math.abs(receivedAtMs - known.atMs) < QUIET_MS) {
      known.untold += 1
      return
    }
    if (!this.#hasLine(receivedAtMs)) return
    const { tenant, device } = lane
    const more = known === undefined ? {} : { moreSinceTheLastLine: known.untold }
    this.#told.set(lane, { atMs: receivedAtMs, untold: 0 })
    const fields = { tenant, device, protocol, reason, detail, ...more }
    this.#logger.warn('a message was refused and dead-lettered', fields)
  }

  #hasLine(atMs: number): boolean {
    const minute = Math.floor(atMs / QUIET_MS)
    if (minute !== this.#minute) this.#lines = 0
    this.#minute = minute
    this.#lines += 1
    return this.#lines <= LINES_PER_MINUTE_MAX
  }
}
