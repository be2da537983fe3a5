/**
 * What a wrong clock of a device does to its message. A message is judged by its newest time: more
 * than CLOCK_SKEW_MS_MAX ahead of the clock that received it, or older than what is still taken.
 *
 *   reject   ahead: refused as clock_skew. Too old: the pipeline judges each sample, as any other.
 *   restamp  moved as a whole, so that its newest sample lies at the message's receive stamp and the
 *            spacing inside of it stays. What was taken away is kept beside it, as `shiftMs`.
 */
import type { ClockPolicy } from '../devices/device.ts'
import { CLOCK_SKEW_MS_MAX } from '../schemas/telemetry.ts'
import type { PackedSeries, Refused } from './payload/json-payload.ts'

export type MessageTimes = Readonly<{
  /** The newest time that the device gave; undefined when it gave none. */
  newestMs: number | undefined
  /** Whether other readings of the message have no time, and carry receive stamps. */
  mixed: boolean
  receivedAtMs: number
  stampMs: number
}>

/** What to take away from the times of a message, or why it is refused. */
export function clockShiftMs(
  { newestMs, mixed, receivedAtMs, stampMs }: MessageTimes,
  policy: ClockPolicy,
  acceptedAgeMs: number,
): number | Refused {
  if (newestMs === undefined) return 0
  if (policy === 'restamp' && !mixed) {
    // By its stamp, which stays when the message comes again: so does what was done to it.
    const aheadMs = newestMs - stampMs
    return aheadMs > CLOCK_SKEW_MS_MAX || -aheadMs > acceptedAgeMs ? aheadMs : 0
  }
  const aheadMs = newestMs - receivedAtMs
  if (aheadMs <= CLOCK_SKEW_MS_MAX) return 0
  const detail = `"ts" is ${Math.round(aheadMs / 1000)} s ahead of the clock that received it`
  // Two clocks in one message: nobody knows how far apart its readings are.
  const why = policy === 'restamp' ? ', and readings without "ts" stand beside it' : ''
  return { kind: 'refused', reason: 'clock_skew', detail: detail + why }
}

/** Takes the shift away from the time of every sample. */
export function shift({ numbers, booleans, strings }: PackedSeries, shiftMs: number): void {
  for (const kind of [numbers, booleans, strings]) {
    for (const series of kind) series.t0 -= shiftMs
  }
}
