/** One page of the fleet as state, in the order of ids. */
import { useEffect, useState } from 'preact/hooks'
import type { DeviceList } from '../../api/contract/resources.ts'
import type { FleetRoute } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import type { Trouble } from '../say/problem-notice.tsx'

export const PAGE_DEVICES = 50
const AGAIN_MS = 15_000
/** Somebody is waiting for a first device to appear. */
const AGAIN_EMPTY_MS = 3000

export type Listing =
  | { kind: 'loading' }
  | { kind: 'trouble'; trouble: Trouble }
  | { kind: 'ready'; list: DeviceList }

/** Read again on every reconnect and from time to time: the feed does not tell of new devices. */
export function useListing(
  api: ApiClient,
  route: FleetRoute,
  reconnects: number,
): [Listing, () => void] {
  const [listing, setListing] = useState<Listing>({ kind: 'loading' })
  const [turn, setTurn] = useState(0)
  const again = () => setTurn((n) => n + 1)
  useEffect(() => {
    let current = true
    const { query, cursor } = route
    void api.devices({ query, cursor, limit: PAGE_DEVICES }).then((answer) => {
      if (!current || answer.kind === 'aborted') return
      if (answer.kind === 'ok') return setListing({ kind: 'ready', list: answer.value })
      // What was already on screen stays there, greyed: the banner says why.
      setListing((shown) =>
        shown.kind === 'ready' && answer.kind === 'unreachable'
          ? shown
          : { kind: 'trouble', trouble: answer },
      )
    })
    return () => {
      current = false
    }
  }, [api, route.query, route.cursor, turn, reconnects])
  const empty = listing.kind === 'ready' && listing.list.items.length === 0
  useEffect(() => {
    const timer = setInterval(again, empty ? AGAIN_EMPTY_MS : AGAIN_MS)
    return () => clearInterval(timer)
  }, [empty])
  return [listing, again]
}
