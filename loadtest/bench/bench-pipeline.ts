/**
 * `bench pipeline`: a pipeline process of its own counts a preloaded topic. Topic, group and
 * tables are made for each round on the servers of the stack, so that nothing else is in them.
 *
 * What it does not show: late data, many partitions, or a ClickHouse on another machine.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import { envName } from '../../platform/config/option-names.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { TELEMETRY } from '../../schemas/topics.ts'
import { type ClickHousePlace, queryRows } from '../clickhouse-query.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { ProgressLine } from '../progress-line.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import { waitUntilCounted } from '../reconcile/quiescence.ts'
import { printJson } from '../report.ts'
import { type StackFile, partOf, readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS, cpuReport, printCpuReport } from './bench-options.ts'
import { startWeir } from '../child-program.ts'
import { type MeasuredRound, measured } from './measured-round.ts'
import { withStack } from '../own-stack.ts'
import { type Preloaded, preload } from './preload.ts'
import { serversOf } from './stack-servers.ts'

const OPTIONS = {
  ...BENCH_OPTIONS,
  records: { kind: 'integer', default: 300_000, min: 1000, max: 50_000_000, doc: 'Per round.' },
  devices: { kind: 'integer', default: 2000, min: 1, max: 100_000, doc: 'Three series each.' },
} as const

const COUNTED_LIMIT_MS = 600_000

export const benchPipelineCommand = commandWithOptions({
  name: 'bench pipeline',
  summary: 'records a second and core, and CPU seconds per million, with exact sums checked',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => benchPipeline(stackPath, options, env)),
})

async function benchPipeline(
  stackPath: string,
  options: OptionValues<typeof OPTIONS>,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  const stack = readStackFile(stackPath)
  const servers = new Map(serversOf(stackPath, ['kafka', 'clickhouse']))
  for (const other of ['pipeline', 'connector', 'api']) servers.delete(other)
  const progress = new ProgressLine()
  const rounds: { round: MeasuredRound; messages: number }[] = []
  for (let index = 0; index < options.rounds; index++) {
    progress.show(() => `bench pipeline: round ${index + 1} of ${options.rounds}`)
    rounds.push(await oneRound(stack, servers, { ...options, env }))
  }
  progress.stop()
  const report = cpuReport(rounds)
  printCpuReport('10 s and 1 min windows, 3 samples a record', report)
  const recordsPerSAndCore = 1e6 / (report.cpuSPerMillion['pipeline'] ?? Number.NaN)
  process.stdout.write(
    `${Math.round(recordsPerSAndCore)} records a second and core; every sum is exact\n`,
  )
  if (options.json) {
    printJson({ command: 'bench pipeline', ok: true, recordsPerSAndCore, ...report })
  }
  return EXIT.ok
}

async function oneRound(
  stack: StackFile,
  servers: ReadonlyMap<string, number>,
  options: Readonly<{ records: number; devices: number; env: Readonly<NodeJS.ProcessEnv> }>,
): Promise<{ round: MeasuredRound; messages: number }> {
  const name = `bench${randomBytes(3).toString('hex')}`
  const { records, devices } = options
  const { brokers } = partOf(stack, 'kafka')
  const { url } = partOf(stack, 'clickhouse')
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const place = { url, database: name }
  await queryRows({ url, database: 'default' }, { sql: `CREATE DATABASE ${name}` })
  const env = { ...options.env, ...environment(stack, { name, folder }) }
  try {
    await startWeir(['migrate'], env).ended
    const registryUrl = partOf(stack, 'registry').url
    const topicPrefix = `${name}_`
    const loaded = await preload({ brokers, registryUrl, topicPrefix, records, devices })
    const pipeline = startWeir(['pipeline'], env)
    try {
      await pipeline.ready
      const all = new Map([['pipeline', pipeline.pid], ...servers])
      const { round } = await measured(all, () => counted(brokers, topicPrefix))
      await verify(place, loaded)
      return { round, messages: loaded.records }
    } finally {
      await pipeline.end()
    }
  } finally {
    await queryRows({ url, database: 'default' }, { sql: `DROP DATABASE IF EXISTS ${name}` })
    rmSync(folder, { recursive: true, force: true })
  }
}

function environment(
  stack: StackFile,
  { name, folder }: Readonly<{ name: string; folder: string }>,
): Record<string, string> {
  const options = {
    kafkaBrokers: partOf(stack, 'kafka').brokers.join(','),
    topicPrefix: `${name}_`,
    topicPartitions: '4',
    topicReplicas: '1',
    registryUrl: partOf(stack, 'registry').url,
    schemaIdsFile: join(folder, 'schema-ids.json'),
    clickhouseUrl: partOf(stack, 'clickhouse').url,
    clickhouseDatabase: name,
    postgresUrl: partOf(stack, 'postgres').url,
    logLevel: 'warn',
  }
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [envName(key), value]))
}

function counted(brokers: readonly string[], topicPrefix: string): Promise<number> {
  return withLogAdmin(kafkaLog(brokers), (admin) =>
    waitUntilCounted({
      admin,
      topic: `${topicPrefix}${TELEMETRY.name}`,
      group: `${topicPrefix}rollup`,
      clock: systemClock,
      limitMs: COUNTED_LIMIT_MS,
    }),
  )
}

/** A run with a wrong count or sum is void. */
async function verify(place: ClickHousePlace, { samples, sum }: Preloaded): Promise<void> {
  for (const table of ['rollup_10s', 'rollup_1m']) {
    const [row = []] = await queryRows(place, {
      sql: `SELECT toFloat64(sum(cnt)), sum(sum) FROM ${table} FINAL`,
    })
    if (row[0] === samples && row[1] === sum) continue
    throw new Failure(
      'internal',
      `void: ${table} has ${row.join(', sum ')}, not ${samples}, sum ${sum}`,
    )
  }
}
