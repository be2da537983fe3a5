/** Wheel and touch on the chart: the wheel zooms around the pointer, sideways and one finger pan. */
import type uPlot from 'uplot'
import { panned, type Range, zoomed } from '../series/span.ts'

type Target = { readonly current: { range: Range; onRange: (range: Range) => void } }

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
  const onPointerEnd = () => {
    lastX = undefined
  }

  const stop = new AbortController()
  const { signal } = stop
  over.addEventListener('wheel', onWheel, { passive: false, signal })
  over.addEventListener('pointerdown', onPointerDown, { signal })
  over.addEventListener('pointermove', onPointerMove, { signal })
  over.addEventListener('pointerup', onPointerEnd, { signal })
  over.addEventListener('pointercancel', onPointerEnd, { signal })
  return () => stop.abort()
}
