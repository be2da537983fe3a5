/** Waits for what becomes true in another process, where there is no event to wait for. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../platform/clock.ts'

const LIMIT_MS = 60_000
const POLL_MS = 50

/** Resolves to the first value that is not undefined; rejects with `what` when none comes. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const endMs = systemClock.monotonicMs() + LIMIT_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (systemClock.monotonicMs() > endMs) throw new Error(`never came: ${what}`)
    await sleep(POLL_MS)
  }
}
