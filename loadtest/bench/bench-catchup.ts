/**
 * `bench catchup`: the pipeline is killed with SIGKILL when it has all windows of a backlog open, so
 * that its successor has to read that backlog again; more records come while it is dead. A
 * supervisor starts it again, as in `weir up`. The time counts from the kill to the commit that
 * covers every record, and the tables are compared with what was sent.
 *
 * Windows are kept open for two minutes here, so that the whole backlog is read again wherever in
 * a minute the kill falls; with the default of 15 s it would be between 15 and 75 s of log.
 */
import { join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { executeMembershipWill } from '../../platform/kafka/leave-group.ts'
import type { ChildSpec } from '../../platform/lifecycle/child-spec.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { Supervisor } from '../../platform/lifecycle/supervisor.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import { withStack } from '../own-stack.ts'
import { ProgressLine } from '../progress-line.ts'
import { median, printJson, printTable } from '../report.ts'
import { readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS } from './bench-options.ts'
import { type BenchSpace, withBenchSpace } from './bench-space.ts'
import { cpuSeconds, residentMiB } from './process-cpu.ts'
import { countedByPipeline } from './rollup-contenders.ts'
import { requireExactSums } from './stored-sums.ts'
import { openFleet, writeBacklog } from './telemetry-fleet.ts'

const { stack, serversDir, json } = BENCH_OPTIONS
const OPTIONS = {
  ...{ stack, serversDir, json },
  rounds: { ...BENCH_OPTIONS.rounds, default: 1 },
  rate: {
    kind: 'integer',
    default: 20_000,
    min: 1,
    max: 1_000_000,
    unit: 'records/s',
    doc: 'At which the backlog was written; one record a second of each device.',
  },
  seconds: {
    kind: 'integer',
    default: 80,
    min: 1,
    max: 110,
    unit: 's',
    doc: 'Length of the backlog.',
  },
  limitS: { kind: 'integer', default: 12, min: 1, max: 3600, unit: 's', doc: 'Fails above this.' },
} as const

const PARTITIONS = 8
const PIPELINE_OPTIONS = { latenessMs: '120000' }

type Recovery = Readonly<{
  replayedRecords: number
  /** From the kill, in seconds. */
  startedS: number
  readyS: number
  caughtUpS: number
  /** Of the successor, until it had caught up. */
  cpuS: number
  peakMiB: number
}>

export const benchCatchupCommand = commandWithOptions({
  name: 'bench catchup',
  summary: 'seconds from kill -9 of the pipeline until it has read its open windows again',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => benchCatchup(stackPath, options, env)),
})

async function benchCatchup(
  stackPath: string,
  options: OptionValues<typeof OPTIONS>,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  const progress = new ProgressLine()
  const rounds: Recovery[] = []
  for (let index = 0; index < options.rounds; index++) {
    const title = `bench catchup: round ${index + 1} of ${options.rounds}`
    rounds.push(
      await withBenchSpace(readStackFile(stackPath), { env, partitions: PARTITIONS }, (space) =>
        oneKill(space, { ...options, show: (what) => progress.show(() => `${title}: ${what}`) }),
      ),
    )
  }
  progress.stop()
  const of = (field: keyof Recovery): number => median(rounds.map((round) => round[field]))
  const caughtUpS = of('caughtUpS')
  printTable([
    ['after kill -9', ''],
    ['records to read again', of('replayedRecords')],
    ['seconds until it was started again', of('startedS')],
    ['seconds until it was ready', of('readyS')],
    ['seconds until everything was counted', caughtUpS],
    ['CPU seconds of the new process', of('cpuS')],
    ['MiB resident at most', of('peakMiB')],
  ])
  process.stdout.write(`Every count and sum is exact; median of ${rounds.length} kills.\n`)
  const ok = caughtUpS <= options.limitS
  if (!ok) process.stdout.write(`More than ${options.limitS} s.\n`)
  if (options.json) printJson({ command: 'bench catchup', ok, caughtUpS, rounds })
  return ok ? EXIT.ok : EXIT.failed
}

async function oneKill(
  space: BenchSpace,
  options: Readonly<{ rate: number; seconds: number; show: (what: string) => void }>,
): Promise<Recovery> {
  const { rate, seconds, show } = options
  const backlog = { devices: rate, intervalMs: 1000 }
  const fleet = await openFleet(space, rate)
  show(`writing ${rate * seconds} records`)
  await writeBacklog(fleet, { ...backlog, rounds: seconds })
  const pipeline = new SupervisedPipeline(space)
  try {
    await pipeline.supervisor.start()
    show('the pipeline counts them')
    await countedByPipeline(space)
    const replayedRecords = await recordsAfterCommit(space)
    show('killed')
    pipeline.kill()
    await writeBacklog(fleet, { ...backlog, rounds: 1 })
    await Promise.race([countedByPipeline(space), pipeline.supervisor.failure])
    const recovery = { replayedRecords, ...pipeline.recovered() }
    await fleet.close()
    await requireExactSums(space.clickhouse, fleet.sent())
    return recovery
  } finally {
    await pipeline.supervisor.drain(20_000)
  }
}

/** The records from which a successor rebuilds the open windows. */
function recordsAfterCommit({ brokers, topic, group }: BenchSpace): Promise<number> {
  return withLogAdmin(kafkaLog(brokers), async (admin) => {
    const committed = await admin.committed(group, topic)
    const ends = await admin.offsetRange(topic)
    return [...ends].reduce(
      (sum, [partition, { end }]) => sum + end - (committed.get(partition)?.offset ?? 0),
      0,
    )
  })
}

/** One pipeline under a supervisor that does what a killed member of a group cannot. */
class SupervisedPipeline {
  readonly supervisor: Supervisor
  #killedMs = Number.NaN
  #startedMs = Number.NaN
  #readyMs = Number.NaN

  constructor(space: BenchSpace) {
    this.supervisor = new Supervisor({
      children: [pipelineSpec(space)],
      clock: systemClock,
      executeWill: executeMembershipWill,
      onEvent: ({ kind }) => {
        if (kind === 'started') this.#startedMs = systemClock.monotonicMs()
        if (kind === 'ready') this.#readyMs = systemClock.monotonicMs()
      },
    })
  }

  kill(): void {
    this.#killedMs = systemClock.monotonicMs()
    process.kill(this.#pid(), 'SIGKILL')
  }

  recovered(): Omit<Recovery, 'replayedRecords'> {
    const since = (ms: number): number => (ms - this.#killedMs) / 1000
    return {
      startedS: since(this.#startedMs),
      readyS: since(this.#readyMs),
      caughtUpS: since(systemClock.monotonicMs()),
      cpuS: cpuSeconds(this.#pid()) ?? Number.NaN,
      peakMiB: residentMiB(this.#pid()).peak,
    }
  }

  #pid(): number {
    const pid = this.supervisor.status()[0]?.pid
    if (pid === undefined) throw new Error('the pipeline does not run')
    return pid
  }
}

function pipelineSpec(space: BenchSpace): ChildSpec {
  const env = Object.entries(space.envOf(PIPELINE_OPTIONS)).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return {
    id: 'pipeline',
    command: process.execPath,
    args: ['--enable-source-maps', join(import.meta.dirname, '../../cli/weir.js'), 'pipeline'],
    env: Object.fromEntries(env),
    restart: 'permanent',
    shutdownSignal: 'SIGTERM',
    shutdownMs: 15_000,
    logFile: join(space.folder, 'pipeline.log'),
    readiness: { kind: 'ipc' },
    readyMs: 60_000,
  }
}
