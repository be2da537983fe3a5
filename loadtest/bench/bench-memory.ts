/**
 * `bench memory`: what series cost in memory. A pipeline process of its own is given two samples of
 * each series, with every window kept open; then the fold alone, in a process that can ask for
 * garbage collection, says what a window and a sample take.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { OptionValues } from '../../platform/config/options.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { startWeir } from '../child-program.ts'
import { withStack } from '../own-stack.ts'
import { ProgressLine } from '../progress-line.ts'
import { printJson, printTable } from '../report.ts'
import { readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS } from './bench-options.ts'
import { type BenchSpace, withBenchSpace } from './bench-space.ts'
import { cpuSeconds, residentMiB } from './process-cpu.ts'
import { countedByPipeline } from './rollup-contenders.ts'
import { requireExactSums } from './stored-sums.ts'
import { METRICS, openFleet, writeBacklog } from './telemetry-fleet.ts'

const { stack, serversDir, json } = BENCH_OPTIONS
const OPTIONS = {
  ...{ stack, serversDir, json },
  series: { kind: 'integer', default: 1_000_000, min: 2, max: 10_000_000, doc: 'In one process.' },
  residentMax: { kind: 'integer', default: 2560, min: 1, max: 1_000_000, unit: 'MiB', doc: 'Fails above this.' },
  windowBytes: { kind: 'integer', default: 250, min: 1, max: 1_000_000, unit: 'bytes', doc: 'Allowed for an open window.' },
  sampleBytes: { kind: 'integer', default: 12, min: 1, max: 1_000_000, unit: 'bytes', doc: 'Allowed for a held sample.' },
} as const // prettier-ignore

const PARTITIONS = 8
const ROUNDS = 2
/** More would cost time and say the same. */
const FOLD_SERIES_MAX = 50_000
/** The process lists its series by partition, and devices do not spread evenly. */
const pipelineOptions = (series: number) => ({
  latenessMs: '600000',
  idleSeriesMax: String(Math.max(1000, series)),
})

type Resident = Readonly<{ startMiB: number; nowMiB: number; peakMiB: number; cpuS: number }>
type FoldMemory = Readonly<{
  series: number
  seriesBytes: number
  windowBytes: number
  sampleBytes: number
  /** Of a series at 1 Hz, when the most is open. */
  fullest: Readonly<{ windows: number; samples: number }>
}>

export const benchMemoryCommand = commandWithOptions({
  name: 'bench memory',
  summary: 'resident memory of a pipeline with many series, and bytes per open window and sample',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => benchMemory(stackPath, options, env)),
})

async function benchMemory(
  stackPath: string,
  options: OptionValues<typeof OPTIONS>,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  const progress = new ProgressLine()
  const show = (what: string): void => progress.show(() => `bench memory: ${what}`)
  const place = { env, partitions: PARTITIONS }
  const resident = await withBenchSpace(readStackFile(stackPath), place, (space) =>
    fill(space, options.series, show),
  )
  show('the fold alone')
  const fold = await foldAlone(Math.min(options.series, FOLD_SERIES_MAX), env)
  progress.stop()
  const { fullest } = fold
  const bytesOf = (prices: Readonly<{ windowBytes: number; sampleBytes: number }>): number =>
    fullest.windows * prices.windowBytes + fullest.samples * prices.sampleBytes
  const [fullestBytes, allowedBytes] = [bytesOf(fold), bytesOf(options)]
  printTable([
    [`pipeline with ${options.series} series, two windows open of each`, ''],
    ['MiB resident at its start', resident.startMiB],
    ['MiB resident with everything counted', resident.nowMiB],
    ['MiB resident at most', resident.peakMiB],
    ['CPU seconds', resident.cpuS],
    ['the fold alone, after garbage collection', ''],
    ['bytes per series', fold.seriesBytes],
    ['bytes per open window', fold.windowBytes],
    ['bytes per held sample', fold.sampleBytes],
    [`bytes of ${fullest.windows} windows with ${fullest.samples} samples`, fullestBytes],
    ['allowed for them', allowedBytes],
  ])
  process.stdout.write('Every count and sum is exact.\n')
  const ok = resident.peakMiB <= options.residentMax && fullestBytes <= allowedBytes
  if (options.json) {
    printJson({ command: 'bench memory', ok, series: options.series, resident, fold })
  }
  return ok ? EXIT.ok : EXIT.failed
}

async function fill(
  space: BenchSpace,
  series: number,
  show: (what: string) => void,
): Promise<Resident> {
  const devices = Math.ceil(series / METRICS.length)
  const fleet = await openFleet(space, devices)
  show(`writing ${devices * ROUNDS} records`)
  await writeBacklog(fleet, { devices, rounds: ROUNDS, intervalMs: 1000 })
  await fleet.close()
  show('the pipeline counts them')
  const pipeline = startWeir(['pipeline'], space.envOf(pipelineOptions(series)))
  try {
    await pipeline.ready
    const startMiB = residentMiB(pipeline.pid).now
    await Promise.race([countedByPipeline(space), pipeline.ended])
    const { now, peak } = residentMiB(pipeline.pid)
    const cpuS = cpuSeconds(pipeline.pid) ?? Number.NaN
    await requireExactSums(space.clickhouse, fleet.sent())
    return { startMiB, nowMiB: now, peakMiB: peak, cpuS }
  } finally {
    await pipeline.end()
  }
}

/** A program of the pipeline's, which ends with what it found. */
async function foldAlone(series: number, env: Readonly<NodeJS.ProcessEnv>): Promise<FoldMemory> {
  const program = join(import.meta.dirname, '../../pipeline/fold-memory.bench.js')
  const args = ['--expose-gc', '--enable-source-maps', program, String(series)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  // `as`: the program is of this very build.
  return JSON.parse(stdout) as FoldMemory
}
