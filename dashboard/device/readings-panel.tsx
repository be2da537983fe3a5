/** The raw readings of the last minutes, newest first, as they were sent. */
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { LatestValue } from '../../api/contract/resources.ts'
import type { DeviceRoute } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import { nowMs } from '../clock.ts'
import type { LiveFeed } from '../live/live-feed.ts'
import { CopyButton } from '../say/copy-button.tsx'
import { csvOf, csvTime } from '../say/csv.ts'
import { Clock } from '../say/moment.tsx'
import { decimalsOf, lengthWords, utcWords } from '../say/words.ts'
import { useNow } from '../shell/clock-tick.ts'
import { useReconnects } from '../shell/feed-state.tsx'
import {
  changeWords,
  rawWords,
  type Reading,
  type ReadingRow,
  readingRows,
} from './reading-rows.ts'

const SPAN_MS = 15 * 60_000
const PAGE_READINGS = 1000
const PAGES_MAX = 5
const ROWS_SHOWN = 200
const POLL_MS = 10_000

type PanelProps = {
  route: DeviceRoute
  api: ApiClient
  feed: LiveFeed
  latest: LatestValue | undefined
}

export function ReadingsPanel({ route, api, feed, latest }: PanelProps) {
  const { device, metric } = route
  const reconnects = useReconnects(feed)
  const readings = useReadings({ api, device, metric, latest, reconnects })
  const now = useNow(60_000)
  const rows = useMemo(() => readingRows(readings, ROWS_SHOWN), [readings])
  const decimals = decimalsOf(rows.map(({ value }) => value))
  const csv = () =>
    csvOf(
      ['at', metric],
      readings.map(({ at, value }) => [csvTime(at), value]),
    )
  return (
    <section class="panel readings" aria-labelledby="readings-title">
      <div class="chart-head">
        <h2 id="readings-title">Readings</h2>
        <span class="count">
          {rows.length < readings.length ? `newest ${rows.length} of ` : ''}
          {readings.length} in 15 min
        </span>
        <CopyButton label="Copy as CSV" text={csv} />
      </div>
      {rows.length === 0 ? (
        <p class="muted pad">None in the last 15 minutes.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Raw readings, newest first">
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col" class="number">
                  <bdi>{metric}</bdi>
                </th>
                <th scope="col" class="number">
                  Change
                </th>
                <th scope="col" class="number">
                  After
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Row key={row.at} row={row} decimals={decimals} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

type RowProps = { row: ReadingRow; decimals: number; now: number }

function Row({ row, decimals, now }: RowProps) {
  const { at, value, deviceAt, afterMs, gap } = row
  return (
    <tr>
      <td>
        <Clock at={at} now={now} />
        {deviceAt === undefined ? null : (
          <span class="warn" title={`The device said ${utcWords(deviceAt)}`}>
            {' '}
            restamped
          </span>
        )}
      </td>
      <td class={typeof value === 'number' ? 'number' : 'number text'} title={String(value)}>
        <bdi>{rawWords(value, decimals)}</bdi>
      </td>
      <td class="number muted">{changeWords(row, decimals)}</td>
      <td class={gap ? 'number warn' : 'number muted'}>
        {afterMs === undefined ? '' : `${gap ? 'gap of ' : ''}${lengthWords(afterMs)}`}
      </td>
    </tr>
  )
}

type ReadingsOptions = {
  api: ApiClient
  device: string
  metric: string
  latest: LatestValue | undefined
  reconnects: number
}

/**
 * The live feed may skip steps for a slow reader, so the table is fetched and the newest value only
 * put on top of it: what the feed left out arrives with the next fetch.
 */
function useReadings({ api, device, metric, latest, reconnects }: ReadingsOptions): Reading[] {
  const [fetched, setFetched] = useState<Reading[]>([])
  useEffect(() => {
    const stop = new AbortController()
    const load = () =>
      void lastReadings({ api, device, metric, signal: stop.signal }).then((readings) => {
        if (readings !== undefined) setFetched(readings)
      })
    load()
    const timer = setInterval(load, POLL_MS)
    return () => {
      clearInterval(timer)
      stop.abort()
    }
  }, [api, device, metric, reconnects])
  useEffect(() => {
    if (latest === undefined) return
    setFetched((known) => ((known.at(-1)?.at ?? 0) < latest.at ? [...known, latest] : known))
  }, [latest])
  return fetched.filter(({ at }) => at > nowMs() - SPAN_MS)
}

type LastOptions = { api: ApiClient; device: string; metric: string; signal: AbortSignal }

async function lastReadings(options: LastOptions): Promise<Reading[] | undefined> {
  const nowAtMs = nowMs()
  const range = { fromMs: nowAtMs - SPAN_MS, toMs: nowAtMs + 60_000 }
  const readings: Reading[] = []
  let cursor = ''
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await options.api.readings({ ...options, range, cursor, limit: PAGE_READINGS })
    if (answer.kind !== 'ok') return undefined
    readings.push(...answer.value.items)
    if (answer.value.next === null) return readings
    cursor = answer.value.next
  }
  return readings
}
