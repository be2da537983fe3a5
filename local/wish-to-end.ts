/**
 * Ctrl-C, once and twice. A terminal sends SIGINT to every process in the foreground and npm sends
 * it on as well, so signals within a second are one wish: end in order. A later one means: now.
 */
import type { Clock } from '../platform/clock.ts'

const SAME_WISH_MS = 1_000

export type WishToEnd = Readonly<{
  /** Aborted by the first signal. */
  signal: AbortSignal
  /** Gives the signals back to whoever had them. */
  release(): void
}>

export function watchWishToEnd(clock: Clock, endNow: () => void): WishToEnd {
  const controller = new AbortController()
  let askedAtMs: number | undefined
  const onSignal = (): void => {
    if (askedAtMs === undefined) {
      askedAtMs = clock.monotonicMs()
      controller.abort()
    } else if (clock.monotonicMs() - askedAtMs > SAME_WISH_MS) {
      endNow()
    }
  }
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of names) process.on(name, onSignal)
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) process.off(name, onSignal)
    },
  }
}
