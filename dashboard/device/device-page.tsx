/** One device: what it last said, one metric over time, and the readings themselves. */
import { useEffect, useState } from 'preact/hooks'
import type { Device } from '../../api/contract/resources.ts'
import type { DeviceRoute } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import { heardAt, readingsOf, type ValuesByMetric } from '../live/latest-values.ts'
import type { LiveFeed } from '../live/live-feed.ts'
import { useLatest } from '../live/use-latest.ts'
import { Command } from '../say/command.tsx'
import { publishCommand } from '../say/first-commands.ts'
import { Age } from '../say/moment.tsx'
import { ProblemNotice, type Trouble } from '../say/problem-notice.tsx'
import { PulseMark } from '../say/pulse-mark.tsx'
import { shownPulse } from '../say/words.ts'
import { useNow } from '../shell/clock-tick.ts'
import { useReconnects, useToldUntil } from '../shell/feed-state.tsx'
import type { Go } from '../shell/navigation.ts'
import { useAbout } from '../shell/use-about.ts'
import { ChartPanel } from './chart-panel.tsx'
import { LastValues } from './last-values.tsx'
import { ReadingsPanel } from './readings-panel.tsx'

type PageProps = { route: DeviceRoute; go: Go; api: ApiClient; feed: LiveFeed }

type Found =
  | { kind: 'loading' }
  | { kind: 'trouble'; trouble: Trouble }
  | { kind: 'ready'; device: Device }

export function DevicePage({ route, go, api, feed }: PageProps) {
  const reconnects = useReconnects(feed)
  const store = useLatest(feed, [route.device])
  const values = store.latest.get(route.device)
  const [found, setFound] = useState<Found>({ kind: 'loading' })
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    let current = true
    void Promise.all([api.device(route.device), api.latest(route.device)]).then(
      ([device, latest]) => {
        if (!current) return
        if (latest.kind === 'ok') store.hear(readingsOf(route.device, latest.value.values))
        if (device.kind === 'ok') return setFound({ kind: 'ready', device: device.value })
        if (device.kind === 'aborted') return
        setFound((shown) =>
          shown.kind === 'ready' && device.kind === 'unreachable'
            ? shown
            : { kind: 'trouble', trouble: device },
        )
      },
    )
    return () => {
      current = false
    }
  }, [api, route.device, reconnects, turn])
  useEffect(() => {
    document.title = `${route.device} · Weir`
  }, [route.device])

  if (found.kind === 'trouble') {
    return <ProblemNotice trouble={found.trouble} onRetry={() => setTurn((n) => n + 1)} />
  }
  return (
    <>
      <DeviceHead
        feed={feed}
        id={route.device}
        device={found.kind === 'ready' ? found.device : undefined}
        at={heardAt(values)}
      />
      {found.kind === 'loading' ? (
        <div class="panel skeleton chart-skeleton" role="status" aria-label="Loading the device" />
      ) : (
        <DeviceBody route={route} go={go} api={api} feed={feed} values={values} />
      )}
    </>
  )
}

type HeadProps = {
  feed: LiveFeed
  id: string
  device: Device | undefined
  at: number | undefined
}

function DeviceHead({ feed, id, device, at }: HeadProps) {
  const now = useNow(1000)
  const toldUntilMs = useToldUntil(feed)
  const name = device === undefined || device.name === '' ? id : device.name
  return (
    <div class="page-head">
      <h1 title={name}>
        <bdi>{name}</bdi>
      </h1>
      {name === id ? null : <bdi class="muted id">{id}</bdi>}
      {device === undefined ? null : <span class="tag">{device.state}</span>}
      <span class="head-pulse">
        <PulseMark pulse={shownPulse(at, now, toldUntilMs)} />{' '}
        {at === undefined ? null : <Age at={at} now={now} />}
      </span>
    </div>
  )
}

type BodyProps = PageProps & { values: ValuesByMetric | undefined }

function DeviceBody({ route, go, api, feed, values }: BodyProps) {
  if (values === undefined || Object.keys(values).length === 0) {
    return <Waiting id={route.device} api={api} />
  }
  const metric = route.metric === '' ? favouriteMetric(values) : route.metric
  const chosen = { ...route, metric }
  const latest = values[metric]
  return (
    <div class="device">
      <LastValues route={chosen} values={values} go={go} />
      <div class="device-main">
        <ChartPanel key={metric} route={chosen} go={go} api={api} feed={feed} latest={latest} />
        <ReadingsPanel key={`r-${metric}`} route={chosen} api={api} feed={feed} latest={latest} />
      </div>
    </div>
  )
}

function Waiting({ id, api }: { id: string; api: ApiClient }) {
  const about = useAbout(api)
  return (
    <div class="notice">
      <h2>Nothing was heard from this device yet</h2>
      <p>
        Publish a reading as <bdi>{id}</bdi>. It appears here by itself, no reload needed.
      </p>
      <Command
        label="USERNAME and SECRET are in the answer that created the device"
        text={publishCommand(about?.mqttUrl, location.hostname)}
      />
    </div>
  )
}

/** A number is what most people come to see; the first by name keeps the choice steady. */
function favouriteMetric(values: ValuesByMetric): string {
  const names = Object.keys(values).sort()
  return names.find((name) => typeof values[name]?.value === 'number') ?? names[0] ?? ''
}
