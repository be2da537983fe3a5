/** The chart with everything around it: spans, resolution, gaps, corrections, back to live. */
import { useMemo, useState } from 'preact/hooks'
import type { LatestValue, StoredResolution } from '../../api/contract/resources.ts'
import { DEFAULT_SPAN, type DeviceRoute } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import { nowMs } from '../clock.ts'
import { type Band, columnsOf } from '../chart/chart-columns.ts'
import { TimeChart } from '../chart/time-chart.tsx'
import { type FeedState, type LiveFeed, toldUntilMs } from '../live/live-feed.ts'
import { ProblemNotice } from '../say/problem-notice.tsx'
import { gapWords, lengthWords, rangeWords, utcWords } from '../say/words.ts'
import { gapsOf, gapsWithin } from '../series/gaps.ts'
import type { Point } from '../series/point-series.ts'
import type { Shown } from '../series/chart-series.ts'
import {
  type Grain,
  grainFor,
  grainWidthMs,
  grainWords,
  type Range,
  SPANS,
  type SpanName,
  storedGrain,
  zoomAnchorMs,
  zoomed,
} from '../series/span.ts'
import { useFeedState } from '../shell/feed-state.tsx'
import { useKeyCommand } from '../shell/keys.tsx'
import type { Go } from '../shell/navigation.ts'
import { ExplainPanel } from './explain-panel.tsx'
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
  const [why, setWhy] = useState<Window>()
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
        onWhy={setWhy}
      />
      {why === undefined ? null : (
        <ExplainPanel
          key={`${why.resolution}/${why.startMs}`}
          {...{ api, device, metric, ...why }}
          onClose={() => setWhy(undefined)}
        />
      )}
    </section>
  )
}

type Window = { startMs: number; resolution: StoredResolution }

type BodyProps = {
  shown: Shown
  range: Range
  toldUntilMs: number | undefined
  route: DeviceRoute
  latest: LatestValue | undefined
  onRange: (range: Range) => void
  onReset: () => void
  onWhy: (window: Window) => void
}

function ChartBody(props: BodyProps) {
  const { shown, range, toldUntilMs, route, latest, onRange, onReset, onWhy } = props
  const [hoverMs, setHoverMs] = useState<number>()
  const [band, setBand] = useState<Band>('extremes')
  const { points, grain } = shown
  const untilMs =
    route.view.kind === 'follow'
      ? Math.min(range.toMs, toldUntilMs ?? Infinity)
      : (points.at(-1)?.start ?? 0)
  const gaps = useMemo(() => gapsOf(points, grain, untilMs), [points, grain, untilMs])
  const columns = useMemo(
    () => columnsOf(points, { grain, gaps, band }),
    [points, grain, gaps, band],
  )
  const visible = points.filter(
    ({ start }) => start + grainWidthMs(grain) > range.fromMs && start < range.toMs,
  )
  const kind = typeof latest?.value
  const resolution = storedGrain(grain)
  const explain =
    resolution === undefined ? undefined : (startMs: number) => onWhy({ startMs, resolution })
  return (
    <>
      <Readout
        points={visible}
        gaps={gaps}
        grain={grain}
        boolean={kind === 'boolean'}
        atMs={hoverMs}
        onWhy={explain}
      />
      {kind === 'string' ? (
        <TextRuns points={visible} />
      ) : (
        <TimeChart
          label={`${route.metric} over time, ${grainWords(grain)}`}
          columns={columns}
          gaps={gaps}
          {...marksOf(visible, grain)}
          range={range}
          boolean={kind === 'boolean'}
          onRange={onRange}
          onReset={onReset}
          onHover={setHoverMs}
          onPick={(atMs) => {
            const found = visible.find(
              ({ start }) => start <= atMs && atMs < start + Math.max(1, grainWidthMs(grain)),
            )
            if (found !== undefined) explain?.(found.start)
          }}
        />
      )}
      <ChartFoot
        shown={shown}
        visible={visible}
        band={kind === 'number' && grain !== 'raw' ? band : undefined}
        onBand={setBand}
        gaps={gapsWithin(gaps, range)}
        range={range}
        latest={latest}
      />
    </>
  )
}

type FootProps = {
  shown: Shown
  visible: readonly Point[]
  /** Absent where there is no band to choose. */
  band: Band | undefined
  onBand: (band: Band) => void
  gaps: readonly Range[]
  range: Range
  latest: LatestValue | undefined
}

function ChartFoot({ shown, visible, band, onBand, gaps, range, latest }: FootProps) {
  const missing = gapWords(
    visible.length,
    gaps.map(({ fromMs, toMs }) => toMs - fromMs),
  )
  const corrected = visible.filter(({ correctedAt }) => correctedAt > 0).length
  const behindMs = behind(shown, range, latest)
  return (
    <p class="chart-foot" role="group" aria-label="About this chart">
      <span title={`${utcWords(range.fromMs)} – ${utcWords(range.toMs)}`}>
        {rangeWords(range.fromMs, range.toMs)}
      </span>
      <span>
        {visible.length} × {grainWords(shown.grain)}
      </span>
      {missing === '' ? null : <span>{missing}</span>}
      {corrected === 0 ? null : (
        <span title="Late readings changed them; marked on the time axis.">
          {corrected} corrected
        </span>
      )}
      {shown.corrected === 0 ? null : <span>{shown.corrected} corrected while you watched</span>}
      {behindMs === 0 ? null : (
        <span class="warn">rollups are {lengthWords(behindMs)} behind the readings</span>
      )}
      {shown.loading ? <span role="status">loading …</span> : null}
      {band === undefined ? null : <BandPicker band={band} onBand={onBand} />}
      {visible.length === 0 && !shown.loading ? (
        <strong>No data in this span: pick a longer one.</strong>
      ) : null}
    </p>
  )
}

/** What is drawn besides the values: windows that can still change, and corrected ones. */
function marksOf(visible: readonly Point[], grain: Grain) {
  const widthMs = grainWidthMs(grain)
  const spansOf = (points: readonly Point[]): readonly Range[] =>
    points.map(({ start }) => ({ fromMs: start, toMs: start + widthMs }))
  return {
    open: spansOf(visible.filter(({ final }) => !final)),
    corrected: spansOf(visible.filter(({ correctedAt }) => correctedAt > 0)),
  }
}

function BandPicker({ band, onBand }: { band: Band; onBand: (band: Band) => void }) {
  const other = band === 'extremes' ? 'deviation' : 'extremes'
  const words = { extremes: 'min to max', deviation: '± deviation' }
  return (
    <button
      type="button"
      class="link"
      title={`Show ${words[other]} instead`}
      onClick={() => onBand(other)}
    >
      band: {words[band]}
    </button>
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
