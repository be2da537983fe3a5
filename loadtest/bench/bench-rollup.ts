/**
 * `bench rollup`: what it costs to count a preloaded topic, each contender as a process of its own on
 * the servers of the stack, with exact counts and sums checked each time. Start-up is part of every
 * figure; Kafka, ClickHouse's inserts and ClickHouse's merges are on their own lines.
 *
 * What it does not show: late data, several processes, or servers on other machines.
 */
import type { OptionValues } from '../../platform/config/options.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { withStack } from '../own-stack.ts'
import { ProgressLine } from '../progress-line.ts'
import { median, printJson, printTable } from '../report.ts'
import { readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS, calibrationText, type CpuReport, cpuReport } from './bench-options.ts'
import { withBenchSpace } from './bench-space.ts'
import { type InsertCost, insertAlone, medianCost } from './insert-alone.ts'
import { type MeasuredRound, measured, type Servers } from './measured-round.ts'
import { openFleet, writeBacklog } from './telemetry-fleet.ts'
import {
  CONTENDER_NOTES,
  CONTENDERS,
  type Contender,
  type Counted,
  runContender,
} from './rollup-contenders.ts'
import { serversOf } from './stack-servers.ts'

const { stack, serversDir, rounds, json } = BENCH_OPTIONS
const OPTIONS = {
  ...{ stack, serversDir, rounds, json },
  records: { kind: 'integer', default: 2_000_000, min: 1000, max: 50_000_000, doc: 'Per round.' },
  devices: { kind: 'integer', default: 5000, min: 1, max: 1_000_000, doc: 'Two series each.' },
  peers: {
    kind: 'integer',
    default: 1,
    min: 0,
    max: 100,
    doc: 'Rounds in which the peers count the same topic as well, the first ones.',
  },
  profile: {
    kind: 'text',
    default: '',
    doc: 'Folder for CPU profiles of our pipeline process, which then costs more; empty: none.',
  },
  only: {
    kind: 'list',
    default: CONTENDERS,
    doc: `Who counts: some of ${CONTENDERS.join(', ')}.`,
  },
} as const

const PARTITIONS = 8

type Result = Readonly<{ round: MeasuredRound; messages: number; counted: Counted }>
type Results = ReadonlyMap<Contender, readonly Result[]>

export const benchRollupCommand = commandWithOptions({
  name: 'bench rollup',
  summary: 'CPU seconds per million records into exact rollups, with peers on the same topic',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => benchRollup(stackPath, options, env)),
})

async function benchRollup(
  stackPath: string,
  options: OptionValues<typeof OPTIONS>,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  const asked = contendersOf(options.only)
  const servers = new Map(
    [...serversOf(stackPath, ['kafka', 'clickhouse'])].filter(([name]) =>
      ['kafka', 'clickhouse'].includes(name),
    ),
  )
  const results = new Map<Contender, Result[]>()
  const inserts: InsertCost[] = []
  for (let index = 0; index < options.rounds; index++) {
    const contenders = asked.filter((name) => name === 'weir' || index < options.peers)
    const title = `bench rollup: round ${index + 1} of ${options.rounds}`
    await oneRound(stackPath, { ...options, env, contenders, servers, title, results, inserts })
  }
  const reports = new Map([...results].map(([name, each]) => [name, cpuReport(each)] as const))
  printReports(results, reports)
  const insert = medianCost(inserts)
  if (insert !== undefined) printInsert(insert)
  process.stdout.write(
    'Every count and sum is exact: raw rows and each window, where there are any.\n',
  )
  if (options.json) {
    const { records, devices } = options
    const contenders = Object.fromEntries(
      [...reports].map(([name, report]) => [name, { ...report, ...spread(results, name) }]),
    )
    printJson({ command: 'bench rollup', ok: true, records, devices, contenders, insert })
  }
  return EXIT.ok
}

function contendersOf(only: readonly string[]): readonly Contender[] {
  for (const name of only) {
    if (CONTENDERS.some((known) => known === name)) continue
    throw new Failure('config_invalid', `--only: "${name}" is none of ${CONTENDERS.join(', ')}`)
  }
  return CONTENDERS.filter((name) => only.includes(name))
}

async function oneRound(
  stackPath: string,
  options: Readonly<{
    env: Readonly<NodeJS.ProcessEnv>
    contenders: readonly Contender[]
    servers: Servers
    records: number
    devices: number
    title: string
    profile: string
    results: Map<Contender, Result[]>
    inserts: InsertCost[]
  }>,
): Promise<void> {
  const { env, contenders, servers, records, devices, title, results, inserts } = options
  const progress = new ProgressLine()
  try {
    await withBenchSpace(
      readStackFile(stackPath),
      { env, partitions: PARTITIONS },
      async (space) => {
        let written = 0
        progress.show(() => `${title}: preloading, ${written} of ${records}`)
        const fleet = await openFleet(space, devices)
        const rounds = Math.ceil(records / devices)
        const progressed = (n: number): void => void (written = n)
        await writeBacklog(fleet, { devices, rounds, intervalMs: 1000, progress: progressed })
        await fleet.close()
        const loaded = fleet.sent()
        for (const name of contenders) {
          progress.show(() => `${title}: ${name} counts ${records} records`)
          const { round, result } = await measured(servers, (meter) =>
            runContender(name, { space, loaded, meter, profile: options.profile }),
          )
          const before = results.get(name) ?? []
          results.set(name, [...before, { round, messages: loaded.records, counted: result }])
        }
        if (!contenders.includes('weir')) return
        progress.show(() => `${title}: raw rows alone`)
        inserts.push(await insertAlone(space, servers, loaded.samples))
      },
    )
  } finally {
    progress.stop()
  }
}

function printReports(results: Results, reports: ReadonlyMap<Contender, CpuReport>): void {
  const ours = reports.get('weir')?.cpuSPerMillion['weir'] ?? Number.NaN
  printTable([
    [
      'CPU-s per million records',
      ...['process', 'least', 'most', 'Kafka', 'ClickHouse', 'merges', 'times ours'],
      ...['MiB at most', 'records a second'],
    ],
    ...[...reports].map(([name, { cpuSPerMillion, peakMiB }]) => {
      const own = cpuSPerMillion[name] ?? Number.NaN
      const { cpuSPerMillionMin, cpuSPerMillionMax, recordsPerS } = spread(results, name)
      return [
        name,
        ...[own, cpuSPerMillionMin, cpuSPerMillionMax].map(hundredths),
        ...['kafka', 'clickhouse', 'clickhouse merges'].map((line) =>
          hundredths(cpuSPerMillion[line] ?? Number.NaN),
        ),
        ...[hundredths(own / ours), Math.round(peakMiB[name] ?? Number.NaN)],
        Math.round(recordsPerS),
      ]
    }),
  ])
  for (const [name, report] of reports) {
    const { startCpuS } = spread(results, name)
    process.stdout.write(`\n${name}: ${CONTENDER_NOTES[name]}.\n`)
    process.stdout.write(`Its start took ${hundredths(startCpuS)} CPU seconds of it. `)
    process.stdout.write(`${calibrationText(report)}\n`)
  }
  process.stdout.write('\n')
}

function printInsert({ client, server, merges }: InsertCost): void {
  printTable([
    ["raw rows alone, by the pipeline's sink", 'CPU-s per million rows'],
    ['writing them here', client],
    ['taking them in ClickHouse', server],
    ['both sides', client + server],
    ['(merging them)', merges],
  ])
  process.stdout.write('\n')
}

const hundredths = (value: number): number => Math.round(value * 100) / 100

/** What the medians of the report leave out. */
function spread(results: Results, name: Contender) {
  const each = results.get(name) ?? []
  const perMillion = each.map(
    ({ round, messages }) => ((round.cpuS.get(name) ?? Number.NaN) / messages) * 1e6,
  )
  return {
    cpuSPerMillionMin: Math.min(...perMillion),
    cpuSPerMillionMax: Math.max(...perMillion),
    startCpuS: median(each.map(({ counted }) => counted.readyCpuS)),
    recordsPerS: median(each.map(({ counted, messages }) => messages / counted.tookS)),
  }
}
