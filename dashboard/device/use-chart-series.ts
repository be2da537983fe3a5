/** A ChartSeries as state of a component, drawn at most a few times a second. */
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { ApiClient } from '../api-client.ts'
import { nowMs } from '../clock.ts'
import type { LiveFeed } from '../live/live-feed.ts'
import { framePace } from '../live/pace.ts'
import { ChartSeries, type Shown } from '../series/chart-series.ts'
import type { Grain, Range } from '../series/span.ts'

type SeriesOptions = {
  api: ApiClient
  feed: LiveFeed
  device: string
  metric: string
  range: Range
  grain: Grain
}

export function useChartSeries(options: SeriesOptions): [Shown, () => void] {
  const { api, feed, device, metric, range, grain } = options
  const [, draw] = useState(0)
  const pace = useMemo(() => framePace(() => draw((n) => n + 1)), [])
  useEffect(() => () => pace.stop(), [pace])
  const series = useMemo(
    () => new ChartSeries({ api, feed, device, metric, nowMs, onChange: pace.ask }),
    [api, feed, device, metric],
  )
  useEffect(() => () => series.close(), [series])
  useEffect(() => series.show(range, grain), [series, range.fromMs, range.toMs, grain])
  return [series.shown, () => series.reload()]
}
