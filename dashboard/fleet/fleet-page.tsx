/** The fleet: every device with its last values, searched and paged by the server. */
import { useEffect, useState } from 'preact/hooks'
import type { DeviceList } from '../../api/contract/resources.ts'
import type { Route } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import { readingsOf } from '../live/latest-values.ts'
import type { LiveFeed } from '../live/live-feed.ts'
import { type LatestStore, useLatest } from '../live/use-latest.ts'
import { Command, createDeviceCommand, publishCommand } from '../say/command.tsx'
import { CopyButton } from '../say/copy-button.tsx'
import { csvOf, csvTime } from '../say/csv.ts'
import { ProblemNotice, type Trouble } from '../say/problem-notice.tsx'
import { useNow } from '../shell/clock-tick.ts'
import { useReconnects } from '../shell/feed-state.tsx'
import type { Go } from '../shell/navigation.ts'
import { DeviceRow } from './device-row.tsx'
import { SearchField } from './search-field.tsx'

const PAGE_DEVICES = 50
const AGAIN_MS = 15_000
/** Somebody is waiting for a first device to appear. */
const AGAIN_EMPTY_MS = 3000

type FleetRoute = Extract<Route, { page: 'fleet' }>
type FleetProps = { route: FleetRoute; go: Go; api: ApiClient; feed: LiveFeed }
type Listing =
  | { kind: 'loading' }
  | { kind: 'trouble'; trouble: Trouble }
  | { kind: 'ready'; list: DeviceList; query: string }

export function FleetPage({ route, go, api, feed }: FleetProps) {
  const [listing, retry] = useListing(api, route, useReconnects(feed))
  const list = listing.kind === 'ready' ? listing.list : undefined
  const store = useLatest(feed, list?.items.map(({ id }) => id) ?? [])
  useEffect(() => {
    for (const { id, latest } of list?.items ?? []) store.hear(readingsOf(id, latest ?? {}))
  }, [list])
  useEffect(() => {
    document.title = 'Fleet · Weir'
  }, [])

  return (
    <>
      <div class="page-head">
        <h1>Fleet</h1>
        <p class="count" aria-live="polite">
          {list === undefined ? '' : countWords(list, route.cursor !== '')}
        </p>
        <SearchField
          query={route.query}
          onQuery={(query) => go({ page: 'fleet', query, cursor: '' }, 'replace')}
        />
        <CopyButton label="Copy as CSV" text={() => fleetCsv(list, store)} />
      </div>
      {listing.kind === 'loading' ? <Skeleton /> : null}
      {listing.kind === 'trouble' ? (
        <ProblemNotice trouble={listing.trouble} onRetry={retry} />
      ) : null}
      {list === undefined ? null : <Devices list={list} route={route} go={go} store={store} />}
    </>
  )
}

type DevicesProps = { list: DeviceList; route: FleetRoute; go: Go; store: LatestStore }

function Devices({ list, route, go, store }: DevicesProps) {
  const now = useNow(1000)
  if (list.items.length === 0) return <Empty query={route.query} go={go} />
  return (
    <>
      <div class="panel">
        <table class="fleet">
          <caption class="hidden">Devices with their last values</caption>
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">Last values</th>
              <th scope="col">Last heard</th>
            </tr>
          </thead>
          <tbody>
            {list.items.map((device) => (
              <DeviceRow
                key={device.id}
                device={device}
                values={store.latest.get(device.id)}
                now={now}
              />
            ))}
          </tbody>
        </table>
      </div>
      <Paging list={list} route={route} go={go} />
    </>
  )
}

function Paging({ list, route, go }: { list: DeviceList; route: FleetRoute; go: Go }) {
  const { next } = list
  if (next === null && route.cursor === '') return null
  return (
    <nav class="paging" aria-label="Pages">
      <button
        type="button"
        class="button"
        disabled={route.cursor === ''}
        onClick={() => go({ ...route, cursor: '' })}
      >
        First page
      </button>
      <button
        type="button"
        class="button"
        disabled={next === null}
        onClick={() => go({ ...route, cursor: next ?? '' })}
      >
        Next page
      </button>
    </nav>
  )
}

function Empty({ query, go }: { query: string; go: Go }) {
  if (query !== '') {
    return (
      <div class="notice">
        <h2>
          No device matches “<bdi>{query}</bdi>”
        </h2>
        <p>The search looks at ids and names.</p>
        <button
          type="button"
          class="button"
          onClick={() => go({ page: 'fleet', query: '', cursor: '' })}
        >
          Show all devices
        </button>
      </div>
    )
  }
  return (
    <div class="notice">
      <h2>No devices yet</h2>
      <p>Two commands bring the first reading here. It appears by itself, no reload needed.</p>
      <Command
        label="1. Create a device; the answer holds its username and secret"
        text={createDeviceCommand('bench-1')}
      />
      <Command label="2. Publish a reading with them" text={publishCommand()} />
    </div>
  )
}

function Skeleton() {
  return (
    <div class="panel skeleton" role="status" aria-label="Loading devices">
      {Array.from({ length: 12 }, (_, row) => (
        <div key={row} class="skeleton-row">
          <span />
          <span />
          <span />
        </div>
      ))}
    </div>
  )
}

/** Read again on every reconnect and from time to time: the feed does not tell of new devices. */
function useListing(api: ApiClient, route: FleetRoute, reconnects: number): [Listing, () => void] {
  const [listing, setListing] = useState<Listing>({ kind: 'loading' })
  const [turn, setTurn] = useState(0)
  const again = () => setTurn((n) => n + 1)
  useEffect(() => {
    let current = true
    const { query, cursor } = route
    void api.devices({ query, cursor, limit: PAGE_DEVICES }).then((answer) => {
      if (!current || answer.kind === 'aborted') return
      if (answer.kind === 'ok') return setListing({ kind: 'ready', list: answer.value, query })
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

function countWords({ items, next, total }: DeviceList, later: boolean): string {
  const shown = items.length
  if (next === null && !later) return `${shown} ${shown === 1 ? 'device' : 'devices'}`
  return total === undefined ? `${shown} shown` : `${shown} shown of ${total.toLocaleString('en')}`
}

function fleetCsv(list: DeviceList | undefined, { latest }: LatestStore): string {
  const rows = (list?.items ?? []).flatMap(({ id, name, state }) =>
    Object.entries(latest.get(id) ?? {}).map(([metric, { value, at }]) => [
      id,
      name,
      state,
      metric,
      value,
      csvTime(at),
    ]),
  )
  return csvOf(['device', 'name', 'state', 'metric', 'value', 'at'], rows)
}
