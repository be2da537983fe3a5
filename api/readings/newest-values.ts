/**
 * The newest value of each metric, by event time. The live stream is ahead of ClickHouse, and
 * ClickHouse remembers what came before this process read the stream: the newer of the two wins.
 */
import type { ApiParts } from '../api-parts.ts'
import type { LatestValue } from '../contract/resources.ts'

export type ValuesByMetric = Record<string, LatestValue>

/** Newest values by device. ClickHouse is asked about a device at most now and then. */
export async function newestOfDevices(
  { latest, telemetry, clock }: Pick<ApiParts, 'latest' | 'telemetry' | 'clock'>,
  tenant: string,
  devices: readonly string[],
): Promise<ReadonlyMap<string, ValuesByMetric>> {
  const nowMs = clock.monotonicMs()
  const unknown = devices.filter((device) => !latest.isWhole(tenant, device, nowMs))
  if (unknown.length > 0) {
    const series = await telemetry.series(tenant, unknown)
    const rows = await telemetry.newest(tenant, series, clock.nowMs())
    for (const row of rows) latest.offer(tenant, row)
    for (const device of unknown) latest.markWhole(tenant, device, nowMs)
  }
  return new Map(devices.map((device) => [device, latest.valuesOf(tenant, device)]))
}
