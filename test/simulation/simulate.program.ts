/**
 * `npm run simulate`: tries the rollup half of the pipeline on seeded schedules of everything that
 * can happen to it. The exit code is 1 when a schedule fails, or when a rule that was taken away is
 * not missed.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { systemClock } from '../../platform/clock.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import {
  addCounts,
  type CampaignResult,
  noCounts,
  programWith,
  runCampaign,
  shrunk,
} from './campaign.ts'
import type { WorkerOrder, WorkerReport } from './campaign-worker.ts'
import { forgetCopies } from './modules.ts'
import { mutantNamed, MUTANTS } from './mutants.ts'
import { type Outcome, runSchedule } from './simulation.ts'

const MUTANT_SCHEDULES = 50_000
const PROGRESS_MS = 10_000

const HELP = `Usage: npm run simulate -- [options]

  --schedules N   How many. Default 10000.
  --seed S        The first seed. Default: a random one, which is printed.
  --workers W     Threads. Default 1.
  --replay SEED   One schedule, with what happened in it, step by step.
  --mutant M      With that rule taken away.
  --mutants       Each rule taken away in turn, until it is missed.
  --help          Show this page and end.
`

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const { values: options } = readCommandLine()
const mutant = () => (options.mutant === undefined ? undefined : mutantNamed(options.mutant))
const mutantOption = options.mutant === undefined ? '' : ` --mutant ${options.mutant}`

try {
  process.exitCode = (await run()) ? 0 : 1
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 2
} finally {
  forgetCopies()
}

async function run(): Promise<boolean> {
  const seed = options.seed === undefined ? randomInt(2 ** 31) : integer('seed', options.seed)
  if (options.mutants) return tryMutants(seed)
  if (options.replay !== undefined) return replay(integer('replay', options.replay))
  return simulate(seed)
}

async function simulate(fromSeed: number): Promise<boolean> {
  const schedules = integer('schedules', options.schedules)
  const workers = Math.max(1, integer('workers', options.workers))
  say(`${schedules} schedules from seed ${fromSeed}, ${workers} at a time`)
  const startedMs = systemClock.monotonicMs()
  const results = await inThreads(fromSeed, schedules, workers)
  const counts = noCounts()
  for (const each of results) addCounts(counts, each.counts)
  const done = results.reduce((sum, each) => sum + each.schedules, 0)
  const steps = results.reduce((sum, each) => sum + each.steps, 0)
  const seconds = (systemClock.monotonicMs() - startedMs) / 1000
  const rate = Math.round(done / seconds)
  say(`${done} schedules, ${steps} steps in ${Math.round(seconds)} s: ${rate} schedules/s`)
  say(
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
  )
  const failed = results.flatMap((each) => each.failed ?? [])
  if (failed.length === 0) {
    say('0 failed')
    return true
  }
  for (const each of failed) await explain(each)
  return false
}

function inThreads(
  fromSeed: number,
  schedules: number,
  workers: number,
): Promise<CampaignResult[]> {
  const done = Array.from({ length: workers }, () => 0)
  let toldMs = systemClock.monotonicMs()
  const tell = (): void => {
    if (systemClock.monotonicMs() - toldMs < PROGRESS_MS) return
    toldMs = systemClock.monotonicMs()
    say(`  ${done.reduce((sum, each) => sum + each, 0)} of ${schedules}`)
  }
  return Promise.all(
    done.map((_, worker) => {
      const share = Math.ceil((schedules - worker) / workers)
      const { mutant } = options
      const order = { fromSeed: fromSeed + worker, schedules: share, stride: workers, mutant }
      return inThread(order, (count) => {
        done[worker] = count
        tell()
      })
    }),
  )
}

function inThread(order: WorkerOrder, progress: (done: number) => void): Promise<CampaignResult> {
  return new Promise((resolve, reject) => {
    const program = new URL('campaign-worker.js', import.meta.url)
    const worker = new Worker(program, { workerData: order })
    worker.on('message', (report: WorkerReport) => {
      if (report.kind === 'progress') progress(report.done)
      else resolve(report.result)
    })
    worker.on('error', reject)
    worker.on('exit', () => reject(new Error('a thread ended without a result')))
  })
}

async function explain({ seed, findings }: Outcome): Promise<void> {
  say(`\nseed ${seed} failed:`)
  for (const finding of findings) say(`  ${finding}`)
  const small = await shrunk(seed, await programWith(mutant()))
  say(`\nthe same seed in a simpler world (${[...small.plan.troubles].join(', ')}):`)
  tellStory(small)
  say(`\nagain: npm run simulate -- --replay ${seed}${mutantOption}`)
}

async function replay(seed: number): Promise<boolean> {
  const outcome = await runSchedule(seed, { ...(await programWith(mutant())), traced: true })
  say(`seed ${seed}: ${[...outcome.plan.troubles].join(', ')}`)
  tellStory(outcome)
  if (outcome.findings.length === 0) say('0 failed')
  return outcome.findings.length === 0
}

function tellStory({ story, findings }: Outcome): void {
  for (const line of story) say(line)
  for (const finding of findings) say(`  ${finding}`)
}

async function tryMutants(fromSeed: number): Promise<boolean> {
  let survivors = 0
  for (const each of MUTANTS) {
    const { name, rule } = each
    const program = await programWith(each)
    const schedules = MUTANT_SCHEDULES
    const { failed, schedules: tried } = await runCampaign({ program, fromSeed, schedules })
    forgetCopies()
    if (failed === undefined) survivors += 1
    say(`${name}: ${rule}`)
    say(
      failed === undefined
        ? `  NOT MISSED in ${tried} schedules`
        : `  missed after ${tried}, seed ${failed.seed}: ${failed.findings[0]}`,
    )
  }
  say(`${MUTANTS.length} rules, ${survivors} not missed`)
  return survivors === 0
}

function integer(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new Error(`--${name} is a number, not ${text}`)
}

function readCommandLine() {
  try {
    const read = parseArgs({
      options: {
        schedules: { type: 'string', default: '10000' },
        seed: { type: 'string' },
        workers: { type: 'string', default: '1' },
        replay: { type: 'string' },
        mutant: { type: 'string' },
        mutants: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (!read.values.help) return read
    process.stdout.write(HELP)
    return process.exit(EXIT.ok)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    process.stderr.write(`simulate: ${error.message}; --help lists all options.\n`)
    return process.exit(EXIT.usage)
  }
}
