/** The fleet: every device with its last values, searched and paged by the server. */
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { DeviceList } from '../../api/contract/resources.ts'
import { deviceRoute, FLEET, type FleetRoute } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import { readingsOf } from '../live/latest-values.ts'
import type { LiveFeed } from '../live/live-feed.ts'
import { type LatestStore, useLatest } from '../live/use-latest.ts'
import { Command } from '../say/command.tsx'
import { CopyButton } from '../say/copy-button.tsx'
import { csvOf, csvTime } from '../say/csv.ts'
import { createDeviceCommand, publishCommand } from '../say/first-commands.ts'
import { ProblemNotice } from '../say/problem-notice.tsx'
import { useNow } from '../shell/clock-tick.ts'
import { useReconnects, useToldUntil } from '../shell/feed-state.tsx'
import type { Go } from '../shell/navigation.ts'
import { useAbout } from '../shell/use-about.ts'
import { DeviceRow } from './device-row.tsx'
import { FleetCounts } from './fleet-counts.tsx'
import { SearchField } from './search-field.tsx'
import type { ListedDevice, Survey } from './survey.ts'
import { PAGE_DEVICES, useListing } from './use-listing.ts'
import { useSurvey } from './use-survey.ts'

type FleetProps = { route: FleetRoute; go: Go; api: ApiClient; feed: LiveFeed }

export function FleetPage({ route, go, api, feed }: FleetProps) {
  const reconnects = useReconnects(feed)
  const [listing, retry] = useListing(api, route, reconnects)
  const toldUntilMs = useToldUntil(feed)
  const survey = useSurvey(api, { query: route.query, reconnects, toldUntilMs })
  const list = listing.kind === 'ready' ? listing.list : undefined
  const [rows, more] = useRows(list, route.silentFirst ? survey : undefined)
  const store = useLatest(feed, rows?.map(({ id }) => id) ?? [])
  useEffect(() => {
    for (const { id, latest } of rows ?? []) store.hear(readingsOf(id, latest ?? {}))
  }, [rows])
  const silent = survey?.counts.silent ?? 0
  useEffect(() => {
    document.title = `${silent === 0 ? '' : `(${silent} silent) `}Fleet · Weir`
  }, [silent])

  return (
    <>
      <div class="page-head">
        <h1>Fleet</h1>
        <p class="count" aria-live="polite">
          {list === undefined || rows === undefined ? '' : countWords(rows.length, list)}
        </p>
        <SearchField
          query={route.query}
          onQuery={(query) => go({ ...route, query, cursor: '' }, 'replace')}
          onEnter={(query) => onlyHit(api, query)}
          onFound={(device) => go(deviceRoute(device))}
        />
        <CopyButton label="Copy as CSV" text={() => fleetCsv(rows, store)} />
      </div>
      {listing.kind === 'loading' ? <Skeleton /> : null}
      {listing.kind === 'trouble' ? (
        <ProblemNotice trouble={listing.trouble} onRetry={retry} />
      ) : null}
      {rows?.length === 0 ? <Empty query={route.query} go={go} api={api} /> : null}
      {list === undefined || rows === undefined || rows.length === 0 ? null : (
        <>
          <FleetCounts
            survey={survey}
            flowing={toldUntilMs === undefined}
            silentFirst={route.silentFirst}
            onToggle={() => go({ ...route, cursor: '', silentFirst: !route.silentFirst })}
          />
          <Devices rows={rows} store={store} toldUntilMs={toldUntilMs} />
          {route.silentFirst ? (
            <More onMore={more} />
          ) : (
            <Paging next={list.next} route={route} go={go} />
          )}
        </>
      )}
    </>
  )
}

/** The id of the device that a search finds, where it finds exactly one. */
async function onlyHit(api: ApiClient, query: string): Promise<string | undefined> {
  const answer = await api.devices({ query, cursor: '', limit: 2 })
  const items = answer.kind === 'ok' ? answer.value.items : []
  return items.length === 1 ? items[0]?.id : undefined
}

type Rows = readonly ListedDevice[] | undefined

/** The page that was asked for, or the first of those with a problem and what shows more of them. */
function useRows(list: DeviceList | undefined, survey: Survey | undefined) {
  const [shown, setShown] = useState(PAGE_DEVICES)
  const rows: Rows = useMemo(
    () => survey?.byProblem.slice(0, shown) ?? list?.items,
    [list, survey, shown],
  )
  const hidden = survey !== undefined && survey.byProblem.length > shown
  const more = hidden ? () => setShown((n) => n + PAGE_DEVICES) : undefined
  return [rows, more] as const
}

type DevicesProps = {
  rows: readonly ListedDevice[]
  store: LatestStore
  toldUntilMs: number | undefined
}

function Devices({ rows, store, toldUntilMs }: DevicesProps) {
  const now = useNow(1000)
  return (
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
          {rows.map((device) => (
            <DeviceRow
              key={device.id}
              device={device}
              values={store.latest.get(device.id)}
              now={now}
              toldUntilMs={toldUntilMs}
            />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function More({ onMore }: { onMore: (() => void) | undefined }) {
  if (onMore === undefined) return null
  return (
    <div class="paging">
      <button type="button" class="button" onClick={onMore}>
        Show {PAGE_DEVICES} more
      </button>
    </div>
  )
}

function Paging({ next, route, go }: { next: string | null; route: FleetRoute; go: Go }) {
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

function Empty({ query, go, api }: { query: string; go: Go; api: ApiClient }) {
  const about = useAbout(api)
  if (query !== '') {
    return (
      <div class="notice">
        <h2>
          No device matches “<bdi>{query}</bdi>”
        </h2>
        <p>The search looks at ids and names.</p>
        <button type="button" class="button" onClick={() => go(FLEET)}>
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
        text={createDeviceCommand(location.origin, 'bench-1')}
      />
      <Command
        label="2. Publish a reading with them"
        text={publishCommand(about?.mqttUrl, location.hostname)}
      />
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

function countWords(shown: number, { next, total }: DeviceList): string {
  const words = (count: number) =>
    `${count.toLocaleString('en')} ${count === 1 ? 'device' : 'devices'}`
  if (total !== undefined) return shown === total ? words(total) : `${shown} of ${words(total)}`
  return next === null ? words(shown) : `${shown} of very many devices`
}

function fleetCsv(rows: Rows, { latest }: LatestStore): string {
  const cells = (rows ?? []).flatMap(({ id, name, state }) =>
    Object.entries(latest.get(id) ?? {}).map(([metric, { value, at }]) => [
      id,
      name,
      state,
      metric,
      value,
      csvTime(at),
    ]),
  )
  return csvOf(['device', 'name', 'state', 'metric', 'value', 'at'], cells)
}
