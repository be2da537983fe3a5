/**
 * Which devices speak and which do not, over more of the fleet than one page shows. It is taken from
 * lists with newest values, so it is as old as the last of them. Pure.
 */
import type { DeviceList } from '../../api/contract/resources.ts'
import { heardAt } from '../live/latest-values.ts'
import { type Pulse, pulseOf } from '../say/words.ts'

export type ListedDevice = DeviceList['items'][number]
export type Survey = Readonly<{
  counts: Readonly<Record<Pulse, number>>
  /** Silent first, the one that fell silent last on top: that is the news. */
  byProblem: readonly ListedDevice[]
  /** False when the fleet is larger than what was asked for. */
  whole: boolean
}>

const RANK: Record<Pulse, number> = { silent: 0, quiet: 1, never: 2, live: 3 }

export function surveyOf(devices: readonly ListedDevice[], whole: boolean, nowMs: number): Survey {
  const counts = { live: 0, quiet: 0, silent: 0, never: 0 }
  const ranked = devices.map((device) => {
    const at = heardAt(device.latest)
    const pulse = pulseOf(at === undefined ? undefined : nowMs - at)
    counts[pulse]++
    // Among devices that are live, order by time would be noise: they stay in the order of ids.
    return { device, rank: RANK[pulse], at: pulse === 'live' ? 0 : (at ?? 0) }
  })
  ranked.sort((a, b) => a.rank - b.rank || b.at - a.at)
  return { counts, byProblem: ranked.map(({ device }) => device), whole }
}
