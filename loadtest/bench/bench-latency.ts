/**
 * `bench latency`: records come to Kafka at a fixed rate (open loop: their event time is when they
 * were due), and two readers see what becomes of them: live updates on rollups.v1, and the 10 s rows
 * of some devices in ClickHouse. Devices speak once a second, so every record changes a window.
 *
 * The readers and the load share this process and the machine with everything measured, and rows
 * are asked for again and again: a row counts as seen up to one such question late.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { startWeir } from '../child-program.ts'
import { withStack } from '../own-stack.ts'
import { ProgressLine } from '../progress-line.ts'
import { printJson, printTable, quantile } from '../report.ts'
import { readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS, type CpuReport, cpuReport, printCpuReport } from './bench-options.ts'
import { type BenchSpace, withBenchSpace } from './bench-space.ts'
import { measured, type Servers } from './measured-round.ts'
import { countedByPipeline } from './rollup-contenders.ts'
import { RowWatch, watchLive } from './rollup-watch.ts'
import { DueTimes, type Sightings } from './sightings.ts'
import { serversOf } from './stack-servers.ts'
import { requireExactSums } from './stored-sums.ts'
import { openFleet, type TelemetryFleet } from './telemetry-fleet.ts'

const { stack, serversDir, json } = BENCH_OPTIONS
const OPTIONS = {
  ...{ stack, serversDir, json },
  rate: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 200_000,
    unit: 'records/s',
    doc: 'Over all devices; each speaks once a second.',
  },
  seconds: { kind: 'integer', default: 20, min: 1, max: 600, unit: 's', doc: 'How long to measure.' },
  warmUp: { kind: 'integer', default: 5, min: 0, max: 60, unit: 's', doc: 'Sent before, not measured.' },
  rowMs: { kind: 'integer', default: 2000, min: 1, max: 600_000, unit: 'ms', doc: 'p99 of rows fails above this.' },
  liveMs: { kind: 'integer', default: 300, min: 1, max: 600_000, unit: 'ms', doc: 'p99 of live updates fails above this.' },
} as const // prettier-ignore

const PARTITIONS = 8
const TICK_MS = 5
/** For what is under way when the last record is sent. */
const ARRIVAL_MS_MAX = 10_000

type Latencies = Readonly<{ p50: number; p99: number; max: number; seen: number; missing: number }>
type Measured = Readonly<{ report: CpuReport; live: Latencies; rows: Latencies }>

export const benchLatencyCommand = commandWithOptions({
  name: 'bench latency',
  summary: 'milliseconds from an event to its live update and to its row, at a fixed rate',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => benchLatency(stackPath, options, env)),
})

async function benchLatency(
  stackPath: string,
  options: OptionValues<typeof OPTIONS>,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  const servers = new Map(
    [...serversOf(stackPath, ['kafka', 'clickhouse'])].filter(([name]) =>
      ['kafka', 'clickhouse'].includes(name),
    ),
  )
  const place = { env, partitions: PARTITIONS }
  const { report, live, rows } = await withBenchSpace(readStackFile(stackPath), place, (space) =>
    measure(space, { ...options, servers }),
  )
  const { rate, seconds } = options
  printCpuReport(`${rate} records of 2 metrics a second for ${seconds} s`, report)
  printTable([
    ['ms from event', 'p50', 'p99', 'most', 'seen', 'never seen'],
    ['to its live update', live.p50, live.p99, live.max, live.seen, live.missing],
    ['to its row in ClickHouse', rows.p50, rows.p99, rows.max, rows.seen, rows.missing],
  ])
  process.stdout.write('Every count and sum is exact.\n')
  const seen = live.missing + rows.missing === 0
  const ok = seen && live.p99 <= options.liveMs && rows.p99 <= options.rowMs
  if (options.json) {
    printJson({ command: 'bench latency', ok, rate, seconds, live, rows, ...report })
  }
  return ok ? EXIT.ok : EXIT.failed
}

async function measure(
  space: BenchSpace,
  options: OptionValues<typeof OPTIONS> & Readonly<{ servers: Servers }>,
): Promise<Measured> {
  const { rate, seconds, warmUp, servers } = options
  const pipeline = startWeir(['pipeline'], space.envOf())
  const progress = new ProgressLine()
  const fleet = await openFleet(space, rate)
  try {
    await pipeline.ready
    const due = new DueTimes(rate)
    const live = await watchLive(space, due.sightings())
    const rows = new RowWatch(space, rate, due)
    progress.show(() => `bench latency: ${fleet.sent().records} records sent`)
    await play(fleet, due, warmUp * 1000)
    due.startCounting()
    const all = new Map([['pipeline', pipeline.pid], ...servers])
    const watching = rows.run()
    const { round } = await measured(all, () => play(fleet, due, seconds * 1000))
    await fleet.close()
    await everythingSeen([live.sightings, rows.sightings])
    await rows.stop(watching)
    await live.stop()
    progress.stop()
    await countedByPipeline(space)
    await requireExactSums(space.clickhouse, fleet.sent())
    return {
      report: cpuReport([{ round, messages: rate * seconds }]),
      live: latencies(live.sightings),
      rows: latencies(rows.sightings),
    }
  } finally {
    progress.stop()
    await pipeline.end()
  }
}

/** Sends each record when it is due, or as soon after as this process can. */
async function play(fleet: TelemetryFleet, due: DueTimes, durationMs: number): Promise<void> {
  const { rate } = due
  const startMs = systemClock.nowMs()
  const total = Math.floor((rate * durationMs) / 1000)
  for (let sent = 0; sent < total;) {
    const elapsedMs = systemClock.nowMs() - startMs
    for (; sent < total && (sent * 1000) / rate <= elapsedMs; sent++) {
      const atMs = startMs + Math.floor((sent * 1000) / rate)
      due.note(sent % rate, atMs)
      void fleet.send(sent % rate, atMs)
    }
    await sleep(TICK_MS)
  }
}

async function everythingSeen(all: readonly Sightings[]): Promise<void> {
  const endMs = systemClock.monotonicMs() + ARRIVAL_MS_MAX
  while (all.some(({ missing }) => missing > 0) && systemClock.monotonicMs() < endMs) {
    await sleep(TICK_MS)
  }
}

function latencies({ delaysMs, missing }: Sightings): Latencies {
  const sorted = delaysMs.toSorted((a, b) => a - b)
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? Number.NaN,
    seen: sorted.length,
    missing,
  }
}
