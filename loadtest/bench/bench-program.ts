/**
 * Measurements that are programs beside the code they measure (`*.bench.ts`), since nothing out here
 * may know it: `bench reprocess`, `bench kafka-read`. They are given servers, and end with a line of
 * figures.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { OptionTable, OptionValues } from '../../platform/config/options.ts'
import type { Command } from '../../platform/lifecycle/command.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { withStack } from '../own-stack.ts'
import { ProgressLine } from '../progress-line.ts'
import { printJson, printTable } from '../report.ts'
import { BENCH_OPTIONS } from './bench-options.ts'

const { stack, serversDir, json } = BENCH_OPTIONS
const SHARED_OPTIONS = { stack, serversDir, json } as const
const number = (preset: number, doc: string) =>
  ({ kind: 'integer', default: preset, min: 1, max: 100_000_000, doc }) as const

const REPROCESS_OPTIONS = {
  ...SHARED_OPTIONS,
  thousands: number(1_000, 'Thousands of samples, spread over a week.'),
  devices: number(60, 'Devices that they are of.'),
  partitions: number(12, 'Partitions of the log.'),
} as const satisfies OptionTable

export const benchReprocessCommand = programBench({
  name: 'bench reprocess',
  summary: 'how fast weir reprocess compares a week of windows with their samples',
  options: REPROCESS_OPTIONS,
  program: '../../pipeline/reprocess/reprocess.bench.js',
  argsOf: ({ thousands, devices, partitions }: OptionValues<typeof REPROCESS_OPTIONS>) => [
    ...[thousands, devices, partitions],
  ],
})

const KAFKA_READ_OPTIONS = {
  ...SHARED_OPTIONS,
  records: number(1_000_000, 'Records of 100 bytes.'),
  perBatch: number(1_000, 'Records in a batch.'),
} as const satisfies OptionTable

export const benchKafkaReadCommand = programBench({
  name: 'bench kafka-read',
  summary: 'what fetching records and looking at each of them costs, and nothing else',
  options: KAFKA_READ_OPTIONS,
  program: '../../platform/kafka/kafka-read.bench.js',
  argsOf: ({ records, perBatch }: OptionValues<typeof KAFKA_READ_OPTIONS>) => [records, perBatch],
})

type ProgramBench<T extends typeof SHARED_OPTIONS & OptionTable> = Readonly<{
  name: string
  summary: string
  options: T
  /** From this folder. */
  program: string
  argsOf(options: OptionValues<T>): readonly number[]
}>

function programBench<const T extends typeof SHARED_OPTIONS & OptionTable>(
  bench: ProgramBench<T>,
): Command {
  const { name, summary, options, program, argsOf } = bench
  return commandWithOptions({
    ...{ name, summary, options },
    run(values, env) {
      // `as`: what every such table holds, whatever else.
      const shared = values as OptionValues<typeof SHARED_OPTIONS>
      return withStack({ ...shared, env }, async (stackPath) => {
        const progress = new ProgressLine()
        progress.show(() => name)
        const args = ['--enable-source-maps', join(import.meta.dirname, program)]
        const { stdout } = await promisify(execFile)(
          process.execPath,
          [...args, ...argsOf(values).map(String)],
          { env: { ...env, WEIR_TEST_STACK: stackPath } },
        )
        progress.stop()
        // `as`: the program is of this very build.
        const figures = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Figures
        printTable([[name, ''], ...Object.entries(figures)])
        if (shared.json) printJson({ command: name, ok: true, ...figures })
        return EXIT.ok
      })
    },
  })
}

type Figures = Readonly<Record<string, number>>
