/**
 * `weir loadtest disorder`: the same samples twice, each time through Kafka and a pipeline process
 * into tables of their own: once in order of event time, once with a tenth of them delivered again,
 * three tenths out of order, and a twentieth up to three days late. The final tables must be equal,
 * byte by byte, but for where and when their rows came from.
 */
import { systemClock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { BENCH_OPTIONS } from '../bench/bench-options.ts'
import { type BenchSpace, withBenchSpace } from '../bench/bench-space.ts'
import { type ClickHousePlace, queryRows } from '../clickhouse-query.ts'
import { withStack } from '../own-stack.ts'
import { ProgressLine } from '../progress-line.ts'
import { printJson, printTable } from '../report.ts'
import { readStackFile } from '../stack-file.ts'
import { type Delivery, type Disorder, disordered, disorderOf, inOrder } from './delivery-plan.ts'
import { type Counted, deliver, LATENESS_MS } from './delivery-run.ts'
import { brokenPromises } from './disorder-verdict.ts'
import { DAY_MS, HOUR_MS, type MessageSet, messageSet } from './message-set.ts'
import { compareTables, LEFT_OUT, type TableVerdict } from './table-comparison.ts'

const { stack, serversDir, seed, json } = BENCH_OPTIONS
const OPTIONS = {
  ...{ stack, serversDir, seed, json },
  samples: {
    kind: 'integer',
    default: 100_000,
    min: 4_000,
    max: 200_000,
    doc: 'Samples in each of the two runs, before any is delivered again.',
  },
} as const
type Options = OptionValues<typeof OPTIONS>

/** Not the same number, so that other devices share a watermark. */
const PARTITIONS = { inOrder: 3, disordered: 5 } as const

type Run = Readonly<{ disorder: Disorder; counted: Counted }>
type Outcome = Readonly<{ inOrder: Run; disordered: Run; tables: readonly TableVerdict[] }>

export const disorderCommand = commandWithOptions({
  name: 'loadtest disorder',
  summary: 'delivers samples again, out of order and late: the tables must equal an in-order run',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => disorder(stackPath, options, env)),
})

async function disorder(
  stackPath: string,
  options: Options,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  // The last day must have ended for both runs, whatever they take.
  const endMs = Math.floor((systemClock.nowMs() - HOUR_MS) / DAY_MS) * DAY_MS
  const set = messageSet(options.seed, { samples: options.samples, endMs })
  const progress = new ProgressLine()
  const run = async (name: keyof typeof PARTITIONS, space: BenchSpace): Promise<Run> => {
    const deliveries = deliveriesOf(name, set, options.seed)
    let done = 0
    progress.show(() => `${TITLES[name]}: ${done} of ${deliveries.length} messages counted`)
    const counted = await deliver(space, deliveries, (n) => void (done = n))
    return { counted, disorder: disorderOf(deliveries, LATENESS_MS) }
  }
  try {
    const file = readStackFile(stackPath)
    const outcome = await withBenchSpace(
      file,
      { env, partitions: PARTITIONS.inOrder },
      async (a) => {
        const first = await run('inOrder', a)
        return withBenchSpace(file, { env, partitions: PARTITIONS.disordered }, async (b) => {
          await shareSalt(a.clickhouse, b.clickhouse)
          const second = await run('disordered', b)
          progress.show(() => 'comparing the tables')
          const tables = await compareTables(a.clickhouse, b.clickhouse)
          return { inOrder: first, disordered: second, tables }
        })
      },
    )
    progress.stop()
    return report(outcome, { set, endMs, options })
  } finally {
    progress.stop()
  }
}

/** Two deployments give one name two ids: here both are to be the same one. */
async function shareSalt(from: ClickHousePlace, to: ClickHousePlace): Promise<void> {
  await queryRows(to, { sql: 'TRUNCATE TABLE series_salt' })
  const sql = `INSERT INTO series_salt SELECT salt FROM ${from.database}.series_salt`
  await queryRows(to, { sql })
}

const TITLES = { inOrder: 'in order', disordered: 'disordered' } as const

function deliveriesOf(name: keyof typeof PARTITIONS, set: MessageSet, seed: string): Delivery[] {
  const partitions = PARTITIONS[name]
  if (name === 'inOrder') return inOrder(set.messages, partitions)
  return disordered(set.messages, { seed, partitions, latenessMs: LATENESS_MS })
}

function report(
  outcome: Outcome,
  { set, endMs, options }: Readonly<{ set: MessageSet; endMs: number; options: Options }>,
): number {
  const broken = brokenPromises(outcome)
  printDisorder(outcome)
  printTables(outcome.tables)
  const { samples, series, devices, tenants } = set
  const broad = `${series} series, ${devices} devices, ${tenants} tenants`
  const [from, to] = [set.messages[0]?.tsMs ?? 0, set.messages.at(-1)?.tsMs ?? 0]
  process.stdout.write(
    `\n${samples} samples of ${broad}, over ${((to - from) / DAY_MS).toFixed(2)} days; ` +
      `seed ${options.seed}. Left out: ${LEFT_OUT.join(', ')}.\n`,
  )
  for (const problem of broken) process.stdout.write(`NOT HELD: ${problem}\n`)
  const ok = broken.length === 0
  if (ok) process.stdout.write('The final tables of both runs are equal, byte by byte.\n')
  if (options.json) {
    const { seed } = options
    const size = { samples, series, devices, tenants, endMs }
    printJson({ command: 'loadtest disorder', ok, seed, ...size, ...outcome, broken })
  }
  return ok ? EXIT.ok : EXIT.failed
}

function printDisorder({ disordered: { disorder, counted }, inOrder }: Outcome): void {
  const { samples, again, outOfOrder, late, lateAgain, lateMsMax } = disorder
  const share = (part: number): string => `${((part / samples) * 100).toFixed(2)} %`
  const days = (lateMsMax / DAY_MS).toFixed(2)
  printTable([
    ['disordered run', 'samples', 'of all', ''],
    ['delivered again', again, share(again), ''],
    ['out of order', outOfOrder, share(outOfOrder), `not late, at most ${LATENESS_MS / 1000} s`],
    ['late', late, share(late), `behind the closed watermark, up to ${days} days`],
    ['late and delivered again', lateAgain, share(lateAgain), ''],
  ])
  process.stdout.write('\n')
  const other = inOrder.counted
  printTable([
    ["the pipeline's own counters", 'in order', 'disordered'],
    ['samples', other.samples, counted.samples],
    ['late samples', other.lateSamples, counted.lateSamples],
    ['known samples in open windows', other.duplicateSamples, counted.duplicateSamples],
    ['windows corrected', other.corrections, counted.corrections],
  ])
  process.stdout.write('\n')
}

function printTables(tables: readonly TableVerdict[]): void {
  printTable([
    ['table', 'rows', 'bytes compared', 'rows corrected', 'SHA-256', ''],
    ...tables.map(({ table, rows, bytes, corrected, hashes, difference }) => [
      ...[table, rows, bytes, corrected?.[1] ?? '', hashes[0].slice(0, 16)],
      difference === undefined ? 'equal' : `not ${hashes[1].slice(0, 16)}`,
    ]),
  ])
}
