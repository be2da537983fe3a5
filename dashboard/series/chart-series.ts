/**
 * Keeps the points of one chart true: fetches the stretch that is looked at, hears the live stream,
 * and after every reconnect fetches that stretch again, so that what happened meanwhile (windows
 * that passed, windows that were corrected) closes without a hole. All merges keep the highest
 * version, so their order does not matter.
 */
import type { Problem } from '../../api/contract/resources.ts'
import type { LiveItem, RollupItem } from '../../api/contract/live.ts'
import type { Answer, ApiClient } from '../api-client.ts'
import type { LiveFeed } from '../live/live-feed.ts'
import { type Point, PointSeries, pointOfReading } from './point-series.ts'
import { type Grain, grainWidthMs, type Range } from './span.ts'

const RAW_PAGE_READINGS = 1000
const RAW_PAGES_MAX = 10
const TAIL_POLL_MS = 10_000
/** A correction is told live a little before it is stored: see `#corrections`. */
const CORRECTION_REST_MS = 2_000
const MINUTE_MS = 60_000
const KEPT_POINTS_MAX = 20_000

export type SeriesTrouble =
  | { kind: 'problem'; problem: Problem }
  | { kind: 'unreachable'; detail: string }

export type Shown = Readonly<{
  points: readonly Point[]
  grain: Grain
  loading: boolean
  trouble: SeriesTrouble | undefined
  /** Final windows that changed while they were on screen. */
  corrected: number
}>

export type ChartSeriesOptions = Readonly<{
  api: Pick<ApiClient, 'readings' | 'rollups'>
  feed: Pick<LiveFeed, 'subscribe' | 'watch'>
  device: string
  metric: string
  nowMs: () => number
  onChange: () => void
}>

export class ChartSeries {
  readonly #options: ChartSeriesOptions
  #series = new PointSeries('10s')
  /** A finer or coarser series on its way: the old picture stays until this one has points. */
  #next: PointSeries | undefined
  #loaded: Range | undefined
  #looking: Range | undefined
  #corrected = 0
  #trouble: SeriesTrouble | undefined
  #request: AbortController | undefined
  #unsubscribe: () => void = () => undefined
  #poll: ReturnType<typeof setInterval> | undefined
  #snapshots = 0
  /** Stored stretches that changed behind the tail; asked for twice, soon and with the next poll. */
  #changed: Range | undefined
  #changedTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: ChartSeriesOptions) {
    this.#options = options
  }

  get shown(): Shown {
    const { grain } = this.#series
    const loading = this.#request !== undefined && this.#series.all().length === 0
    const [trouble, corrected] = [this.#trouble, this.#corrected]
    return { points: this.#series.all(), grain, loading, trouble, corrected }
  }

  /** Looks at a stretch. Cheap when it is loaded already, so it may be called on every frame. */
  show(range: Range, grain: Grain): void {
    this.#looking = range
    const fresh = this.#loaded === undefined || grain !== (this.#next ?? this.#series).grain
    if (fresh) this.#change(grain)
    else if (this.#covers(range)) return
    const lengthMs = range.toMs - range.fromMs
    const fromMs = Math.max(0, range.fromMs - lengthMs / 2)
    this.#loaded = { fromMs, toMs: Math.max(range.toMs + lengthMs / 2, this.#endMs()) }
    void this.#load(this.#loaded)
  }

  reload(): void {
    if (this.#loaded !== undefined) void this.#load({ ...this.#loaded, toMs: this.#endMs() })
  }

  close(): void {
    this.#request?.abort()
    this.#unsubscribe()
    this.#stopPolling()
  }

  #stopPolling(): void {
    clearInterval(this.#poll)
    clearTimeout(this.#changedTimer)
    this.#changed = undefined
    this.#changedTimer = undefined
  }

  #covers({ fromMs, toMs }: Range): boolean {
    const loaded = this.#loaded
    if (loaded === undefined || fromMs < loaded.fromMs) return false
    // What lies after the load is heard live or polled, so the present is always covered.
    return toMs <= Math.max(loaded.toMs, this.#endMs())
  }

  /** Where the newest window can end; device clocks may run a little ahead of this one. */
  #endMs(): number {
    return this.#options.nowMs() + 60_000
  }

  #change(grain: Grain): void {
    this.#unsubscribe()
    this.#stopPolling()
    this.#snapshots = 0
    this.#corrected = 0
    const series = new PointSeries(grain)
    if (this.#series.all().length === 0) this.#series = series
    this.#next = series === this.#series ? undefined : series
    if (grain === '10s' || grain === '1m') this.#listen(grain)
    else this.#pollTail()
  }

  #listen(resolution: '10s' | '1m'): void {
    const { feed, device, metric } = this.#options
    const interest = {
      stream: 'rollups',
      devices: [device],
      metrics: [metric],
      resolution,
    } as const
    this.#unsubscribe = feed.subscribe(interest, (event) => {
      if (event.kind === 'refused') return
      this.#merge(event.items.filter((item) => isRollup(item, resolution)))
      // The first snapshot follows the first fetch; any later one means that we were away.
      if (event.kind !== 'snapshot') return
      if (this.#snapshots++ === 0) void this.#loadTail()
      else this.reload()
    })
  }

  /**
   * The feed carries 10 s and 1 min windows; anything else is asked for every few seconds at its
   * newest end. What changes behind that end shows itself as a 1 min window that comes again.
   */
  #pollTail(): void {
    const { feed, device, metric } = this.#options
    this.#poll = setInterval(() => {
      void this.#loadTail()
      this.#loadChanged('and forget')
    }, TAIL_POLL_MS)
    const unwatch = feed.watch((state) => {
      if (state.kind === 'live') this.reload()
    })
    const interest = { stream: 'rollups', devices: [device], metrics: [metric] } as const
    const unsubscribe = feed.subscribe({ ...interest, resolution: '1m' }, (event) => {
      if (event.kind !== 'update') return
      for (const item of event.items) if (isRollup(item, '1m')) this.#noteChange(item.start)
    })
    this.#unsubscribe = () => {
      unwatch()
      unsubscribe()
    }
  }

  /** Widens what is asked for again, when the minute lies where the polling does not look. */
  #noteChange(startMs: number): void {
    const [loaded, tailMs] = [this.#loaded, this.#tailMs()]
    const endMs = startMs + MINUTE_MS
    if (loaded === undefined || tailMs === undefined) return
    if (endMs > tailMs || endMs <= loaded.fromMs) return
    const widthMs = Math.max(MINUTE_MS, grainWidthMs((this.#next ?? this.#series).grain))
    const fromMs = Math.floor(startMs / widthMs) * widthMs
    const known = this.#changed ?? { fromMs, toMs: fromMs + widthMs }
    this.#changed = {
      fromMs: Math.min(known.fromMs, fromMs),
      toMs: Math.max(known.toMs, fromMs + widthMs),
    }
    this.#changedTimer ??= setTimeout(() => {
      this.#changedTimer = undefined
      this.#loadChanged('and ask again')
    }, CORRECTION_REST_MS)
  }

  /** Twice, because the feed is ahead of the database by the time between two flushes. */
  #loadChanged(then: 'and ask again' | 'and forget'): void {
    const changed = this.#changed
    if (changed === undefined || this.#changedTimer !== undefined) return
    if (then === 'and forget') this.#changed = undefined
    void this.#refetch(changed)
  }

  async #load(range: Range): Promise<void> {
    this.#request?.abort()
    const request = new AbortController()
    this.#request = request
    const answer = await this.#fetch(range, request.signal)
    if (this.#request !== request || answer.kind === 'aborted') return
    this.#request = undefined
    this.#trouble = answer.kind === 'ok' ? undefined : answer
    if (answer.kind === 'ok') {
      this.#merge(answer.value)
      this.#promote()
    }
    this.#options.onChange()
  }

  async #loadTail(): Promise<void> {
    const fromMs = this.#tailMs()
    if (fromMs === undefined) return this.reload()
    await this.#refetch({ fromMs, toMs: this.#endMs() })
  }

  /** Where polling begins: shortly before the newest point, which may still change. */
  #tailMs(): number | undefined {
    const series = this.#next ?? this.#series
    const newest = series.all().at(-1)
    if (newest === undefined) return undefined
    return Math.max(0, newest.start - 2 * grainWidthMs(series.grain))
  }

  async #refetch(range: Range): Promise<void> {
    const series = this.#next ?? this.#series
    const answer = await this.#fetch(range, undefined)
    if (answer.kind === 'ok' && series === (this.#next ?? this.#series)) this.#merge(answer.value)
  }

  #merge(points: readonly Point[]): void {
    const series = this.#next ?? this.#series
    const { changed, corrected } = series.merge(points)
    if (series.all().length > KEPT_POINTS_MAX) this.#forget(series)
    this.#corrected += corrected
    if (changed > 0) this.#options.onChange()
  }

  /** A chart left open for weeks keeps what is looked at and one length before it. */
  #forget(series: PointSeries): void {
    if (this.#looking === undefined || this.#loaded === undefined) return
    const { fromMs, toMs } = this.#looking
    const keptMs = Math.max(this.#loaded.fromMs, fromMs - (toMs - fromMs))
    series.forgetBefore(keptMs)
    this.#loaded = { ...this.#loaded, fromMs: keptMs }
  }

  #promote(): void {
    if (this.#next !== undefined) this.#series = this.#next
    this.#next = undefined
  }

  async #fetch(range: Range, signal: AbortSignal | undefined): Promise<Answer<Point[]>> {
    const { api, device, metric } = this.#options
    const { grain } = this.#next ?? this.#series
    const stopping = signal === undefined ? {} : { signal }
    if (grain === 'raw') return this.#fetchRaw({ device, metric, range, ...stopping })
    const answer = await api.rollups({ device, metric, range, resolution: grain, ...stopping })
    return answer.kind === 'ok' ? { kind: 'ok', value: answer.value.items } : answer
  }

  async #fetchRaw(
    series: Readonly<{ device: string; metric: string; range: Range; signal?: AbortSignal }>,
  ): Promise<Answer<Point[]>> {
    const points: Point[] = []
    let cursor = ''
    for (let page = 0; page < RAW_PAGES_MAX; page++) {
      const answer = await this.#options.api.readings({
        ...series,
        cursor,
        limit: RAW_PAGE_READINGS,
      })
      if (answer.kind !== 'ok') return answer
      for (const { at, value } of answer.value.items) points.push(pointOfReading(at, value))
      if (answer.value.next === null) break
      cursor = answer.value.next
    }
    return { kind: 'ok', value: points }
  }
}

const isRollup = (item: LiveItem, resolution: string): item is RollupItem =>
  'start' in item && item.resolution === resolution
