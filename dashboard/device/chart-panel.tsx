/** The chart with everything around it: spans, resolution, gaps, corrections, back to live. */
import { useMemo, useState } from 'preact/hooks'
import type { LatestValue } from '../../api/contract/resources.ts'
import { DEFAULT_SPAN, type DeviceRoute } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import { nowMs } from '../clock.ts'
import { columnsOf } from '../chart/chart-columns.ts'
import { TimeChart } from '../chart/time-chart.tsx'
import { type FeedState, type LiveFeed, toldUntilMs } from '../live/live-feed.ts'
import { ProblemNotice } from '../say/problem-notice.tsx'
import { gapWords, lengthWords, rangeWords, utcWords } from '../say/words.ts'
import { gapsOf, gapsWithin } from '../series/gaps.ts'
import type { Shown } from '../series/chart-series.ts'
import {
  grainFor,
  grainWidthMs,
  grainWords,
  type Range,
  SPANS,
  type SpanName,
  zoomAnchorMs,
  zoomed,
} from '../series/span.ts'
import { useFeedState } from '../shell/feed-state.tsx'
import { useKeyCommand } from '../shell/keys.tsx'
import type { Go } from '../shell/navigation.ts'
import { Readout } from './readout.tsx'
import { TextRuns } from './text-runs.tsx'
import { useChartSeries } from './use-chart-series.ts'
import { useShownRange } from './use-shown-range.ts'

type PanelProps = {
  route: DeviceRoute
  go: Go
  api: ApiClient
  feed: LiveFeed
  latest: LatestValue | undefined
}

export function ChartPanel({ route, go, api, feed, latest }: PanelProps) {
  const { view, device, metric } = route
  const range = useShownRange({ api, device, metric, view })
  const grain = grainFor(range.toMs - range.fromMs)
  const [shown, retry] = useChartSeries({ api, feed, device, metric, range, grain })
  const feedState = useFeedState(feed)
  const follow = (span: SpanName) => go({ ...route, view: { kind: 'follow', span } })
  const look = ({ fromMs, toMs }: Range) =>
    go({ ...route, view: { kind: 'fixed', fromMs, toMs, span: view.span } }, 'replace')
  useKeyCommand((command) => {
    if (command === 'live') follow(view.span)
    if (command === 'shorter') follow(neighbour(view.span, -1))
    if (command === 'longer') follow(neighbour(view.span, 1))
  })

  return (
    <section class="panel chart-panel" aria-labelledby="chart-title">
      <div class="chart-head">
        <h2 id="chart-title">
          <bdi>{metric}</bdi>
        </h2>
        <SpanPicker view={view} onSpan={follow} />
        <div class="chart-moves" role="group" aria-label="Move the chart">
          <ZoomButton label="Zoom in" sign="+" onClick={() => look(scaled(range, 0.5))} />
          <ZoomButton label="Zoom out" sign="−" onClick={() => look(scaled(range, 2))} />
        </div>
        {view.kind === 'fixed' ? (
          <button type="button" class="button primary" onClick={() => follow(view.span)}>
            Back to live
          </button>
        ) : (
          <FollowingWord state={feedState} />
        )}
      </div>
      {shown.trouble === undefined || shown.points.length > 0 ? null : (
        <ProblemNotice trouble={shown.trouble} onRetry={retry} />
      )}
      <ChartBody
        shown={shown}
        range={range}
        toldUntilMs={toldUntilMs(feedState)}
        route={route}
        latest={latest}
        onRange={look}
        onReset={() => follow(view.span)}
      />
    </section>
  )
}

type BodyProps = {
  shown: Shown
  range: Range
  toldUntilMs: number | undefined
  route: DeviceRoute
  latest: LatestValue | undefined
  onRange: (range: Range) => void
  onReset: () => void
}

function ChartBody({ shown, range, toldUntilMs, route, latest, onRange, onReset }: BodyProps) {
  const [hoverMs, setHoverMs] = useState<number>()
  const { points, grain } = shown
  const untilMs =
    route.view.kind === 'follow'
      ? Math.min(range.toMs, toldUntilMs ?? Infinity)
      : (points.at(-1)?.start ?? 0)
  const gaps = useMemo(() => gapsOf(points, grain, untilMs), [points, grain, untilMs])
  const columns = useMemo(() => columnsOf(points, grain, gaps), [points, grain, gaps])
  const visible = points.filter(
    ({ start }) => start + grainWidthMs(grain) > range.fromMs && start < range.toMs,
  )
  const kind = typeof latest?.value
  return (
    <>
      <Readout
        points={visible}
        gaps={gaps}
        grain={grain}
        boolean={kind === 'boolean'}
        atMs={hoverMs}
      />
      {kind === 'string' ? (
        <TextRuns points={visible} />
      ) : (
        <TimeChart
          label={`${route.metric} over time, ${grainWords(grain)}`}
          columns={columns}
          gaps={gaps}
          range={range}
          boolean={kind === 'boolean'}
          onRange={onRange}
          onReset={onReset}
          onHover={setHoverMs}
        />
      )}
      <ChartFoot
        shown={shown}
        visible={visible.length}
        gaps={gapsWithin(gaps, range)}
        range={range}
        latest={latest}
      />
    </>
  )
}

type FootProps = {
  shown: Shown
  visible: number
  gaps: readonly Range[]
  range: Range
  latest: LatestValue | undefined
}

function ChartFoot({ shown, visible, gaps, range, latest }: FootProps) {
  const missing = gapWords(
    visible,
    gaps.map(({ fromMs, toMs }) => toMs - fromMs),
  )
  const behindMs = behind(shown, range, latest)
  return (
    <p class="chart-foot" role="group" aria-label="About this chart">
      <span title={`${utcWords(range.fromMs)} – ${utcWords(range.toMs)}`}>
        {rangeWords(range.fromMs, range.toMs)}
      </span>
      <span>
        {visible} × {grainWords(shown.grain)}
      </span>
      {missing === '' ? null : <span>{missing}</span>}
      {shown.corrected === 0 ? null : <span>{shown.corrected} corrected while you watched</span>}
      {behindMs === 0 ? null : (
        <span class="warn">rollups are {lengthWords(behindMs)} behind the readings</span>
      )}
      {shown.loading ? <span role="status">loading …</span> : null}
      {visible === 0 && !shown.loading ? (
        <strong>No data in this span: pick a longer one.</strong>
      ) : null}
    </p>
  )
}

/** How far the windows lag the newest reading: what a slow ClickHouse or pipeline looks like. */
function behind({ points, grain }: Shown, range: Range, latest: LatestValue | undefined): number {
  const newest = points.at(-1)
  if (grain === 'raw' || newest === undefined || latest === undefined) return 0
  if (latest.at > range.toMs) return 0
  const lateMs = latest.at - (newest.start + grainWidthMs(grain))
  return lateMs > 15_000 ? lateMs : 0
}

function FollowingWord({ state }: { state: FeedState }) {
  if (state.kind === 'live') return <span class="following">Following live</span>
  const word = state.kind === 'still' ? 'Live stands still' : 'Waiting'
  return <span class="following following-not">{word}</span>
}

function SpanPicker({
  view,
  onSpan,
}: {
  view: DeviceRoute['view']
  onSpan: (s: SpanName) => void
}) {
  return (
    <div class="spans" role="group" aria-label="Span">
      {SPANS.map(({ name, label }) => (
        <button
          key={name}
          type="button"
          aria-pressed={view.kind === 'follow' && view.span === name}
          onClick={() => onSpan(name)}
        >
          {label}
        </button>
      ))}
    </div>
  )
}

function ZoomButton({
  label,
  sign,
  onClick,
}: {
  label: string
  sign: string
  onClick: () => void
}) {
  return (
    <button type="button" class="button" aria-label={label} title={label} onClick={onClick}>
      {sign}
    </button>
  )
}

const scaled = (range: Range, factor: number): Range =>
  zoomed(range, factor, zoomAnchorMs(range, nowMs()))

function neighbour(span: SpanName, step: number): SpanName {
  const at = SPANS.findIndex(({ name }) => name === span) + step
  return SPANS[Math.min(SPANS.length - 1, Math.max(0, at))]?.name ?? DEFAULT_SPAN
}
