/** Latest values as state: what a page fetched, kept true by the live feed, drawn a few times a second. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { ReadingItem } from '../../api/contract/live.ts'
import { isReading, type LatestByDevice, mergeLatest } from './latest-values.ts'
import type { LiveFeed } from './live-feed.ts'
import { framePace } from './pace.ts'

export type LatestStore = { latest: LatestByDevice; hear: (items: readonly ReadingItem[]) => void }

export function useLatest(feed: LiveFeed, devices: readonly string[]): LatestStore {
  const [latest, setLatest] = useState<LatestByDevice>(new Map())
  // Merged at once and drawn later: a hidden tab draws no frames, and must not pile up readings.
  const truth = useRef<LatestByDevice>(latest)
  const pace = useMemo(() => framePace(() => setLatest(truth.current)), [])
  useEffect(() => () => pace.stop(), [pace])
  const hear = useCallback((items: readonly ReadingItem[]) => {
    const drawn = truth.current
    truth.current = mergeLatest(drawn, items)
    if (truth.current !== drawn) pace.ask()
  }, [])
  // Another order of the same devices is no reason to ask again.
  const wanted = [...devices].sort().join('\n')
  useEffect(() => {
    if (wanted === '') return undefined
    const interest = { stream: 'readings', devices: wanted.split('\n'), metrics: ['*'] } as const
    return feed.subscribe(interest, (event) => {
      if (event.kind !== 'refused') hear(event.items.filter(isReading))
    })
  }, [feed, wanted, hear])
  return { latest, hear }
}
