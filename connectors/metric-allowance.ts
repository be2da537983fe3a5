/**
 * How many metrics a device may have. Each costs memory in the fold and rows in the tables for as
 * long as they are kept, so names that carry numbers ("sensor-8731") are stopped here, where the
 * device can still be told apart from its neighbours. Names are forgotten with the device's lane;
 * what it sent before counts again when it is sent again.
 */
import { METRICS_PER_DEVICE_MAX } from '../schemas/telemetry.ts'
import type { PackedSeries } from './payload/json-payload.ts'

export class MetricAllowance {
  readonly #names = new Set<string>()

  /** False when the message would bring the device above the limit; then none of it counts. */
  takes({ numbers, booleans, strings }: PackedSeries): boolean {
    const before = this.#names.size
    let added: string[] | undefined
    for (const series of [numbers, booleans, strings]) {
      for (const { metric } of series) {
        if (this.#names.has(metric)) continue
        this.#names.add(metric)
        ;(added ??= []).push(metric)
      }
    }
    if (added === undefined || before + added.length <= METRICS_PER_DEVICE_MAX) return true
    for (const metric of added) this.#names.delete(metric)
    return false
  }
}
