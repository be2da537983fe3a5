/**
 * A sink that does not give up: while the tables cannot be reached, the very same rows are offered
 * again, and the partitions wait. What the tables will never take is thrown on.
 */
import { Failure } from '../platform/failure.ts'
import { aroundEach, type RollupSink } from './sinks/rollup-sink.ts'
import { sleep, type Timers } from './timers.ts'

const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 5_000

export type RetryPorts = Readonly<{
  timers: Timers
  /** Told of every attempt that failed and will be repeated. */
  retrying(error: Failure): void
  /** True when repeating is over: what failed last is then thrown. */
  stopped(): boolean
}>

export const retryingSink = (sink: RollupSink, ports: RetryPorts): RollupSink =>
  aroundEach(sink, (attempt) => untilDone(attempt, ports))

async function untilDone<T>(attempt: () => Promise<T>, ports: RetryPorts): Promise<T> {
  for (let delayMs = BACKOFF_MS_MIN; ; delayMs = Math.min(delayMs * 2, BACKOFF_MS_MAX)) {
    try {
      return await attempt()
    } catch (error) {
      const passes =
        error instanceof Failure && error.retry === 'later' && error.code !== 'internal'
      if (!passes || ports.stopped()) throw error
      ports.retrying(error)
      await sleep(ports.timers, delayMs)
    }
  }
}
