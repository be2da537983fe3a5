/**
 * Recomputes the windows of a stretch of time from raw, while the pipeline runs: after a release
 * that folds differently (FOLD_EPOCH), or when rows are in doubt. Only windows that the pipeline
 * has closed; never a slice of the log, whose first and last windows would be partial.
 *
 *   1  every hour and partition: versions, then raw rows, folded; what differs is written at its
 *      version's offset under a higher fold epoch
 *   2  when no flush goes on that may have read minutes before they were rewritten: hours, then days,
 *      the same from their children, those included that have ended meanwhile
 *   3  2 again, until nothing differs
 *
 * It may be broken off, repeated, and run by several at once: what is right already is left alone.
 */
import type { Clock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { Pacer } from '../dead-letters/pacer.ts'
import type { RollupSink } from '../sinks/rollup-sink.ts'
import type { Timers } from '../timers.ts'
import { CASCADES, windowStartMs } from '../window/tumbling-windows.ts'
import type { RawSource } from './raw-samples.ts'
import { HOUR_MS, refoldHour, type RefoldPorts, seriesName } from './refold-hour.ts'
import { remergeParents } from './remerge-parents.ts'
import { noCounts, type WindowCounts } from './rewritten-rows.ts'

export type ReprocessOptions = Readonly<{
  /** [fromMs, toMs), widened to whole hours. */
  fromMs: number
  toMs: number
  dryRun: boolean
  /** Windows folded in a second; 0: no limit. */
  perSecond: number
}>

export type ReprocessPorts = Readonly<{
  sink: RollupSink
  raw: RawSource
  /** C of every partition, as its owner committed it. */
  closedToMs(): Promise<ReadonlyMap<number, number>>
  clock: Clock
  timers: Timers
  /** Resolves when no flush goes on that began before this was asked. */
  settled(): Promise<void>
  progress(doneHours: number, allHours: number): void
}>

export type ReprocessReport = Readonly<{
  folded: WindowCounts
  /** Hours and days, of all passes together. */
  merged: WindowCounts
  passes: number
}>

const PASSES_MAX = 10

export async function reprocess(
  options: ReprocessOptions,
  ports: ReprocessPorts,
): Promise<ReprocessReport> {
  const { sink, raw } = ports
  const refold: RefoldPorts = {
    ...{ sink, raw, dryRun: options.dryRun },
    chosen: await raw.chosenSeries(),
  }
  const folded = await foldHours(options, ports, refold)
  return { folded, ...(await mergeParents(options, ports, refold)) }
}

async function foldHours(
  options: ReprocessOptions,
  { raw, closedToMs, clock, timers, progress }: ReprocessPorts,
  ports: RefoldPorts,
): Promise<WindowCounts> {
  const counts = noCounts()
  const closed = await closedToMs()
  const pacer = new Pacer(options.perSecond, clock, timers)
  const fromMs = windowStartMs(options.fromMs, HOUR_MS)
  const hours = await raw.hours(fromMs, endOf(options.toMs, HOUR_MS))
  for (const [done, hour] of hours.entries()) {
    const before = counts.windows
    await refoldHour(hour, closed.get(hour.partition) ?? 0, { counts, ports })
    progress(done + 1, hours.length)
    await pacer.take(counts.windows - before)
  }
  return counts
}

async function mergeParents(
  options: ReprocessOptions,
  { sink, closedToMs, settled }: ReprocessPorts,
  { chosen, dryRun }: RefoldPorts,
): Promise<Pick<ReprocessReport, 'merged' | 'passes'>> {
  const merged = noCounts()
  const ports = { sink, dryRun, wanted: (series: Parameters<typeof seriesName>[0]) => chosen?.has(seriesName(series)) ?? true } // prettier-ignore
  for (let passes = 1; passes <= PASSES_MAX; passes += 1) {
    if (!dryRun) await settled()
    const before = merged.rewritten + merged.added
    const closed = await closedToMs()
    for (const cascade of CASCADES) {
      for (const [partition, closedMs] of closed) {
        const { parentMs } = cascade
        const fromMs = windowStartMs(options.fromMs, parentMs)
        const toMs = Math.min(endOf(options.toMs, parentMs), windowStartMs(closedMs, parentMs))
        if (fromMs >= toMs) continue
        await remergeParents(cascade, { partition, fromMs, toMs }, { counts: merged, ports })
      }
    }
    if (dryRun || merged.rewritten + merged.added === before) return { merged, passes }
  }
  throw new Failure('unavailable', 'hours and days kept changing; run it again')
}

const endOf = (ms: number, sizeMs: number): number => Math.ceil(ms / sizeMs) * sizeMs
