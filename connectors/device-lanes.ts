/**
 * What the ingress keeps per device: where its records go and the last receive stamp it was given.
 *
 * Stamps of one device must only ever grow, across all its connections and across reconnects,
 * because a stamp is part of a sample's identity: two messages in one millisecond stay two. So all
 * connections of a device share one lane. Lanes nobody uses are kept for a while in two
 * generations, which bounds them without an order to maintain.
 */
import type { ClockPolicy, DeviceState } from '../devices/device.ts'
import { permits } from '../devices/lifecycle.ts'
import { MetricAllowance } from './metric-allowance.ts'
import { deviceKey, partitionOf } from '../schemas/topics.ts'

export type DeviceLane = {
  readonly tenant: string
  readonly device: string
  /** Key and partition of the device's records. */
  readonly key: Buffer
  readonly partition: number
  readonly metrics: MetricAllowance
  clockPolicy: ClockPolicy
  /** What it says is kept apart. */
  quarantined: boolean
  lastStampMs: number
  /** When the device's last message was received, by the clock of then. */
  lastReceivedMs: number
  /** Open users; the lane leaves the live ones when it falls to 0. */
  users: number
}

/** What the registry says of how a device's messages are treated. */
export type LaneRules = Readonly<Pick<DeviceLane, 'clockPolicy' | 'quarantined'>>

export const ORDINARY: LaneRules = { clockPolicy: 'reject', quarantined: false }

export const rulesOf = ({
  clockPolicy,
  state,
}: Readonly<{ clockPolicy: ClockPolicy; state: DeviceState }>): LaneRules => ({
  clockPolicy,
  quarantined: !permits(state, 'counted'),
})

const IDLE_LANES_MAX = 50_000

export class DeviceLanes {
  readonly #partitions: number
  readonly #live = new Map<string, DeviceLane>()
  #idle = new Map<string, DeviceLane>()
  #idleBefore = new Map<string, DeviceLane>()

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  /** The device's lane, until close() is called as often. */
  open(tenant: string, device: string, rules: LaneRules = ORDINARY): DeviceLane {
    const key = deviceKey(tenant, device)
    const lane =
      this.#live.get(key) ??
      this.#idle.get(key) ??
      this.#idleBefore.get(key) ??
      this.#create(key, tenant, device)
    if (lane.users === 0) {
      this.#idle.delete(key)
      this.#idleBefore.delete(key)
      this.#live.set(key, lane)
    }
    lane.users++
    Object.assign(lane, rules)
    return lane
  }

  /** The rules of a device changed while it is connected. */
  setRules(tenant: string, device: string, rules: LaneRules): void {
    const lane = this.#live.get(deviceKey(tenant, device))
    if (lane !== undefined) Object.assign(lane, rules)
  }

  close(lane: DeviceLane): void {
    lane.users--
    if (lane.users > 0) return
    const key = deviceKey(lane.tenant, lane.device)
    this.#live.delete(key)
    if (this.#idle.size >= IDLE_LANES_MAX) {
      this.#idleBefore = this.#idle
      this.#idle = new Map()
    }
    this.#idle.set(key, lane)
  }

  #create(name: string, tenant: string, device: string): DeviceLane {
    const key = Buffer.from(name)
    const partition = partitionOf(key, this.#partitions)
    const metrics = new MetricAllowance()
    return {
      tenant,
      device,
      key,
      partition,
      metrics,
      ...ORDINARY,
      lastStampMs: 0,
      lastReceivedMs: 0,
      users: 0,
    }
  }
}

/** A clock that goes back further than this was set; the stamps it gave before were wrong. */
const CLOCK_SET_BACK_MS = 10_000

/**
 * The next stamp a device may get for something received at this time: the time itself, or one
 * more than its last stamp. After a clock was set back by much, stamps follow the corrected clock:
 * staying ahead of it would make every further message look as if it came from the future.
 */
export function nextStampMs(lane: DeviceLane, receivedAtMs: number): number {
  if (receivedAtMs > lane.lastStampMs) return receivedAtMs
  if (receivedAtMs < lane.lastReceivedMs - CLOCK_SET_BACK_MS) return receivedAtMs
  return lane.lastStampMs + 1
}

/** Notes the last stamp that a message received at this time was given. */
export function stampsGiven(lane: DeviceLane, lastStampMs: number, receivedAtMs: number): void {
  lane.lastStampMs = lastStampMs
  lane.lastReceivedMs = receivedAtMs
}
