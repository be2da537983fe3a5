/**
 * Mouse and touch on the chart: the wheel zooms around the pointer, sideways and one finger pan, a
 * click picks.
 */
import type uPlot from 'uplot'
import { panned, type Range, zoomed } from '../series/span.ts'

type Target = {
  readonly current: {
    range: Range
    onRange: (range: Range) => void
    onPick: (atMs: number) => void
  }
}

/** Further than this between press and release is a drag, not a click. */
const CLICK_PX = 4

export function listenForGestures(plot: uPlot, target: Target): () => void {
  const { over } = plot
  const onWheel = (event: WheelEvent) => {
    event.preventDefault()
    const { range, onRange } = target.current
    const lengthMs = range.toMs - range.fromMs
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      return onRange(panned(range, (event.deltaX / over.clientWidth) * lengthMs))
    }
    const anchorMs = plot.posToVal(event.clientX - over.getBoundingClientRect().left, 'x')
    onRange(zoomed(range, Math.exp(event.deltaY * 0.002), anchorMs))
  }

  let lastX: number | undefined
  const onPointerDown = (event: PointerEvent) => {
    if (event.pointerType === 'touch') lastX = event.clientX
  }
  const onPointerMove = (event: PointerEvent) => {
    if (lastX === undefined) return
    const { range, onRange } = target.current
    const lengthMs = range.toMs - range.fromMs
    const byMs = ((lastX - event.clientX) / over.clientWidth) * lengthMs
    lastX = event.clientX
    if (byMs !== 0) onRange(panned(range, byMs))
  }
  let pressedX = 0
  const onMouseDown = (event: MouseEvent) => {
    pressedX = event.clientX
  }
  const onClick = (event: MouseEvent) => {
    if (Math.abs(event.clientX - pressedX) > CLICK_PX) return
    const x = event.clientX - over.getBoundingClientRect().left
    target.current.onPick(plot.posToVal(x, 'x'))
  }
  const onPointerEnd = () => {
    lastX = undefined
  }

  const stop = new AbortController()
  const { signal } = stop
  over.addEventListener('wheel', onWheel, { passive: false, signal })
  over.addEventListener('mousedown', onMouseDown, { signal })
  over.addEventListener('click', onClick, { signal })
  over.addEventListener('pointerdown', onPointerDown, { signal })
  over.addEventListener('pointermove', onPointerMove, { signal })
  over.addEventListener('pointerup', onPointerEnd, { signal })
  over.addEventListener('pointercancel', onPointerEnd, { signal })
  return () => stop.abort()
}
