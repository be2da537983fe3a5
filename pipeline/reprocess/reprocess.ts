/**
 * Recomputes the windows of a stretch of time from raw, while the pipeline runs: after a release
 * that folds differently (FOLD_EPOCH), or when rows are in doubt. Only windows that the pipeline
 * has closed; never a slice of the log, whose first and last windows would be partial.
 *
 *   1  every day, or every hour of a large day: versions, then raw rows, folded; what differs is
 *      written at its version's offset under a higher fold epoch
 *   2  when no flush goes on that may have read minutes before they were rewritten: hours, then days,
 *      the same from their children, those included that have ended meanwhile
 *   3  2 again, until nothing differs
 *
 * It may be broken off, repeated, and run by several at once: what is right already is left alone.
 */
import type { Clock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { Pacer } from '../operator/pacer.ts'
import type { RollupSink } from '../sinks/rollup-sink.ts'
import type { Timers } from '../timers.ts'
import { CASCADES, windowStartMs } from '../window/tumbling-windows.ts'
import type { RawSource } from './raw-samples.ts'
import { refoldStretch, type RefoldPorts } from './refold-stretch.ts'
import { remergeParents } from './remerge-parents.ts'
import { noCounts, type WindowCounts } from './rewritten-rows.ts'
import { seriesName } from './stored-windows.ts'
import { type HourCount, largeDays, stretchesOf } from './stretches.ts'

type ReprocessOptions = Readonly<{
  /** [fromMs, toMs), widened to whole hours. */
  fromMs: number
  toMs: number
  dryRun: boolean
  /** Windows folded in a second; 0: no limit. */
  perSecond: number
}>

type ReprocessPorts = Readonly<{
  sink: RollupSink
  raw: RawSource
  /** C of every partition, as its owner committed it. */
  closedToMs(): Promise<ReadonlyMap<number, number>>
  clock: Clock
  timers: Timers
  /** Resolves when no flush goes on that began before this was asked. */
  settled(): Promise<void>
  /** Told after each step; `what` are the things that are counted. */
  progress(done: number, all: number, what: string): void
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
  const { sink, raw, closedToMs } = ports
  const fromMs = windowStartMs(options.fromMs, HOUR_MS)
  const refold: RefoldPorts = {
    ...{ sink, raw, dryRun: options.dryRun },
    chosen: await raw.chosenSeries(),
    closedToMs: await closedToMs(),
  }
  const hours = await raw.hours(fromMs, endOf(options.toMs, HOUR_MS))
  const folded = await foldHours(hours, { options, ports, refold })
  return { folded, ...(await mergeParents(hours, { options, ports, refold })) }
}

type Work = Readonly<{ options: ReprocessOptions; ports: ReprocessPorts; refold: RefoldPorts }>

async function foldHours(hours: readonly HourCount[], work: Work): Promise<WindowCounts> {
  const { options, ports, refold } = work
  const counts = noCounts()
  const pacer = new Pacer(options.perSecond, ports.clock, ports.timers)
  const stretches = stretchesOf(hours)
  const all = stretches.reduce((sum, { samples }) => sum + samples, 0)
  let done = 0
  for (const stretch of stretches) {
    const before = counts.windows
    await refoldStretch(stretch, { counts, ports: refold })
    done += stretch.samples
    ports.progress(done, all, 'samples folded')
    await pacer.take(counts.windows - before)
  }
  return counts
}

async function mergeParents(
  hours: readonly HourCount[],
  { options, ports: { sink, closedToMs, settled, progress }, refold: { chosen, dryRun } }: Work,
): Promise<Pick<ReprocessReport, 'merged' | 'passes'>> {
  const merged = noCounts()
  const wanted = (series: Parameters<typeof seriesName>[0]): boolean =>
    chosen?.has(seriesName(series)) ?? true
  const large = largeDays(hours)
  for (let passes = 1; passes <= PASSES_MAX; passes += 1) {
    if (!dryRun) await settled()
    const before = merged.rewritten + merged.added
    const closed = await closedToMs()
    for (const cascade of CASCADES) {
      const { parentMs } = cascade
      const range = {
        fromMs: windowStartMs(options.fromMs, parentMs),
        toMs: endOf(options.toMs, parentMs),
        ...{ closedToMs: closed, largeDays: large },
      }
      const what = parentMs === HOUR_MS ? 'stretches of hours merged' : 'days merged'
      const told = (done: number, all: number): void => progress(done, all, what)
      const ports = { sink, dryRun, wanted, progress: told }
      await remergeParents(cascade, range, { counts: merged, ports })
    }
    if (dryRun || merged.rewritten + merged.added === before) return { merged, passes }
  }
  throw new Failure('unavailable', 'hours and days kept changing; run it again')
}

const HOUR_MS = CASCADES[0].parentMs
const endOf = (ms: number, sizeMs: number): number => Math.ceil(ms / sizeMs) * sizeMs
