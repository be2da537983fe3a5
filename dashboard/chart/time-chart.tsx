/**
 * The chart: the mean as a line, minimum to maximum as a band behind it, gaps as hatched holes.
 * It draws and reports gestures; what range is shown is decided by whoever uses it. uPlot enters
 * the dashboard by this file only.
 */
import uPlot from 'uplot'
import { useEffect, useRef } from 'preact/hooks'
import { nowMs } from '../clock.ts'
import { scaleWords, tickWords } from '../say/words.ts'
import { panned, type Range, zoomAnchorMs, zoomed } from '../series/span.ts'
import { cssColour, onThemeChange } from '../shell/theme.ts'
import { type Columns, lonelyIndices } from './chart-columns.ts'
import { listenForGestures } from './gestures.ts'

export type ChartProps = {
  label: string
  columns: Columns
  gaps: readonly Range[]
  /** Windows that can still change. */
  open: readonly Range[]
  /** Windows that late readings corrected. */
  corrected: readonly Range[]
  range: Range
  /** Drawn as steps between the words false and true. */
  boolean: boolean
  onRange: (range: Range) => void
  onReset: () => void
  /** The time under the pointer, or undefined when it left. */
  onHover: (atMs: number | undefined) => void
  /** A time that was clicked. */
  onPick: (atMs: number) => void
}

const ZOOM_STEP = 0.5
const PAN_STEP = 0.25
const HEIGHT_PX = 320
const PHONE_HEIGHT_PX = 240

export function TimeChart(props: ChartProps) {
  const host = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  latest.current = props
  const plot = useRef<uPlot>(undefined)

  useEffect(() => {
    const element = host.current
    if (element === null) return undefined
    const made = new uPlot(optionsFor(latest, sizeOf(element)), latest.current.columns, element)
    plot.current = made
    const resizing = new ResizeObserver(() => made.setSize(sizeOf(element)))
    resizing.observe(element)
    const stops = [
      onThemeChange(() => made.redraw(false)),
      listenForGestures(made, latest),
      () => resizing.disconnect(),
      () => made.destroy(),
    ]
    return () => stops.forEach((stop) => stop())
  }, [props.boolean])

  useEffect(() => {
    const { columns, range } = props
    plot.current?.batch(() => {
      plot.current?.setData(columns, false)
      plot.current?.setScale('x', { min: range.fromMs, max: range.toMs })
    })
  }, [props.columns, props.range.fromMs, props.range.toMs])

  const onKeyDown = (event: KeyboardEvent) => {
    const next = rangeAfterKey(event.key, props.range)
    if (event.key === '0') props.onReset()
    else if (next !== undefined) props.onRange(next)
    else return
    event.preventDefault()
  }
  return (
    <div
      ref={host}
      class="chart"
      role="application"
      aria-roledescription="time chart"
      aria-label={props.label}
      tabIndex={0}
      onKeyDown={onKeyDown}
    />
  )
}

function rangeAfterKey(key: string, range: Range): Range | undefined {
  const lengthMs = range.toMs - range.fromMs
  const anchorMs = zoomAnchorMs(range, nowMs())
  if (key === 'ArrowLeft') return panned(range, -lengthMs * PAN_STEP)
  if (key === 'ArrowRight') return panned(range, lengthMs * PAN_STEP)
  if (key === '+' || key === '=') return zoomed(range, ZOOM_STEP, anchorMs)
  if (key === '-') return zoomed(range, 1 / ZOOM_STEP, anchorMs)
  return undefined
}

type Latest = { readonly current: ChartProps }

function sizeOf(element: HTMLElement): { width: number; height: number } {
  const width = element.clientWidth
  return { width, height: width < 560 ? PHONE_HEIGHT_PX : HEIGHT_PX }
}

function optionsFor(latest: Latest, size: { width: number; height: number }): uPlot.Options {
  const { boolean, range } = latest.current
  const paths = boolean ? uPlot.paths.stepped?.({ align: 1 }) : undefined
  const edge: uPlot.Series = { width: 0, points: { show: false }, ...(paths ? { paths } : {}) }
  return {
    ...size,
    ms: 1,
    legend: { show: false },
    padding: [12, 24, 0, 0],
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
      bind: {
        dblclick: () => () => {
          latest.current.onReset()
          return null
        },
      },
    },
    scales: {
      x: { time: true, min: range.fromMs, max: range.toMs },
      y: { range: boolean ? [-0.15, 1.15] : yRange },
    },
    axes: [timeAxis(), boolean ? booleanAxis() : valueAxis()],
    series: [
      {},
      {
        stroke: () => cssColour('--chart-line'),
        width: 1.75,
        points: { show: true, size: 5, filter: () => lonelyIndices(latest.current.columns[1]) },
        ...(paths ? { paths } : {}),
      },
      edge,
      edge,
    ],
    bands: [{ series: [2, 3], fill: () => cssColour('--chart-band') }],
    hooks: {
      drawClear: [
        (u) => drawSpans(u, latest.current.gaps, '--chart-gap'),
        (u) => drawSpans(u, latest.current.open, '--chart-open'),
      ],
      draw: [(u) => drawCorrected(u, latest.current.corrected)],
      setSelect: [(u) => selectRange(u, latest)],
      setCursor: [(u) => latest.current.onHover(hoveredMs(u))],
    },
  }
}

function timeAxis(): uPlot.Axis {
  return {
    ...axisColours(),
    size: 32,
    space: 72,
    values: (...[, splits, , , stepMs]) => splits.map((ms) => tickWords(ms, stepMs)),
  }
}

function valueAxis(): uPlot.Axis {
  return {
    ...axisColours(),
    size: (_u, values) => 22 + 7 * Math.max(3, ...(values ?? []).map((text) => text.length)),
    values: (_u, splits) => scaleWords(splits),
  }
}

function booleanAxis(): uPlot.Axis {
  return { ...axisColours(), size: 48, splits: [0, 1], values: ['false', 'true'] }
}

function axisColours(): uPlot.Axis {
  const font = '12px system-ui, sans-serif'
  const line = { stroke: () => cssColour('--chart-grid'), width: 1 }
  return { stroke: () => cssColour('--muted'), font, grid: line, ticks: { ...line, size: 4 } }
}

/** A little air above and below, also for a series that never changes. */
function yRange(_u: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1]
  const air = max > min ? (max - min) * 0.08 : Math.max(Math.abs(max) * 0.05, 0.5)
  return [min - air, max + air]
}

function drawSpans(u: uPlot, spans: readonly Range[], colour: string): void {
  const { left, top, width, height } = u.bbox
  u.ctx.save()
  u.ctx.fillStyle = cssColour(colour)
  for (const { fromMs, toMs } of spans) {
    const x0 = Math.max(left, u.valToPos(fromMs, 'x', true))
    const x1 = Math.min(left + width, u.valToPos(toMs, 'x', true))
    if (x1 > x0) u.ctx.fillRect(x0, top, x1 - x0, height)
  }
  u.ctx.restore()
}

/** A bar on the time axis under each of them, wide enough to be seen alone. */
function drawCorrected(u: uPlot, corrected: readonly Range[]): void {
  const { left, top, width, height } = u.bbox
  const [thick, least] = [3 * devicePixelRatio, 3 * devicePixelRatio]
  u.ctx.save()
  u.ctx.fillStyle = cssColour('--warn')
  for (const { fromMs, toMs } of corrected) {
    const x0 = Math.max(left, u.valToPos(fromMs, 'x', true))
    const x1 = Math.min(left + width, Math.max(x0 + least, u.valToPos(toMs, 'x', true)))
    if (x1 > x0) u.ctx.fillRect(x0, top + height - thick, x1 - x0, thick)
  }
  u.ctx.restore()
}

function selectRange(u: uPlot, latest: Latest): void {
  const { left, width } = u.select
  if (width < 4) return
  const range = { fromMs: u.posToVal(left, 'x'), toMs: u.posToVal(left + width, 'x') }
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  latest.current.onRange(range)
}

function hoveredMs(u: uPlot): number | undefined {
  const { left } = u.cursor
  return left === undefined || left < 0 ? undefined : u.posToVal(left, 'x')
}
