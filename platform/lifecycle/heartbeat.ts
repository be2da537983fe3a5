/**
 * The heartbeat of a role: every second, how long the event loop was held up since the last one. A
 * busy loop does not crash, it stops answering; the missing heartbeat is what its supervisor sees.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const HEARTBEAT_MS = 1_000
const RESOLUTION_MS = 10

/** Calls `beat` with the largest delay of each second; returns what stops it. */
export function startHeartbeat(beat: (eventLoopDelayMs: number) => void): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const timer = setInterval(() => {
    // The histogram measures the distance of its own ticks, so an idle loop shows the resolution.
    const delayMs = delay.count === 0 ? 0 : Math.max(0, delay.max / 1e6 - RESOLUTION_MS)
    delay.reset()
    beat(Math.round(delayMs * 10) / 10)
  }, HEARTBEAT_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    delay.disable()
  }
}
