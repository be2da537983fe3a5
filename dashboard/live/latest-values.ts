/** The newest value of each metric of each device, whatever order it was heard in. */
import type { LatestValue } from '../../api/contract/resources.ts'
import type { LiveItem, ReadingItem } from '../../api/contract/live.ts'
import { type Digits, NO_DIGITS, withValue } from '../say/digits.ts'

/** A newest value with the digits that its series has shown so far. */
export type SeenValue = Readonly<LatestValue & { digits: Digits }>
export type ValuesByMetric = Readonly<Record<string, SeenValue>>
export type LatestByDevice = ReadonlyMap<string, ValuesByMetric>

export const isReading = (item: LiveItem): item is ReadingItem => 'at' in item

/** The same map where nothing is newer, so that nothing is drawn again. */
export function mergeLatest(known: LatestByDevice, heard: readonly ReadingItem[]): LatestByDevice {
  let merged: Map<string, ValuesByMetric> | undefined
  for (const { device, metric, value, at } of heard) {
    const values = (merged ?? known).get(device)
    const before = values?.[metric]
    // At the same event time the later word wins: it is a correction or the same again.
    if (before !== undefined && (before.at > at || (before.at === at && before.value === value))) {
      continue
    }
    merged ??= new Map(known)
    const digits = withValue(before?.digits ?? NO_DIGITS, value)
    merged.set(device, { ...values, [metric]: { value, at, digits } })
  }
  return merged ?? known
}

export function readingsOf(
  device: string,
  values: Readonly<Record<string, LatestValue>>,
): ReadingItem[] {
  return Object.entries(values).map(([metric, latest]) => ({ device, metric, ...latest }))
}

/** When any metric of the device was newest, or undefined if none ever was. */
export function heardAt(
  values: Readonly<Record<string, LatestValue>> | undefined,
): number | undefined {
  const times = Object.values(values ?? {}).map(({ at }) => at)
  return times.length === 0 ? undefined : Math.max(...times)
}
