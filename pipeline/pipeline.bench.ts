/**
 * What a million records cost the pipeline process, on preloaded data and real servers, and how
 * long a reading takes to be seen. The servers' own cost is not in these figures, and writer,
 * generator and pipeline share the machine: compare runs of one machine only.
 *
 *   WEIR_TEST_STACK=… node .build/x/pipeline/pipeline.bench.js [records]
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { systemClock } from '../platform/clock.ts'
import { startChild } from './testing/pipeline-child.ts'
import { deploy, type Deployment } from './testing/stack-deployment.ts'
import { emptyRecord } from './testing/fold-log.ts'

const DEVICES = 1_000

async function preload(deployment: Deployment, records: number): Promise<void> {
  const fromMs = systemClock.nowMs() - Math.ceil(records / DEVICES) * 1_000
  let pending: Promise<void>[] = []
  for (let n = 0; n < records; n += 1) {
    const tsMs = fromMs + Math.floor(n / DEVICES) * 1_000 + (n % DEVICES)
    const record = emptyRecord(`device-${n % DEVICES}`, tsMs + 5)
    record.numbers.push(
      { metric: 'temperature', t0: tsMs, dt: [0], v: [20 + (n % 97) / 7] },
      { metric: 'humidity', t0: tsMs, dt: [0], v: [40 + (n % 89) / 3] },
    )
    pending.push(deployment.send(record))
    if (pending.length < 5_000) continue
    await Promise.all(pending)
    pending = []
  }
  await Promise.all(pending)
}

async function measureBacklog(records: number): Promise<void> {
  const deployment = await deploy(8)
  await preload(deployment, records)
  const child = await startChild(deployment, profileArguments())
  const startedMs = systemClock.monotonicMs()
  const before = cpuSecondsOf(child.pid)
  await deployment.settled()
  const tookMs = systemClock.monotonicMs() - startedMs
  const cpuSeconds = cpuSecondsOf(child.pid) - before
  child.kill('SIGTERM')
  await once(child, 'exit')
  say(`${records} records of 2 metrics in ${(tookMs / 1000).toFixed(1)} s`)
  say(`${((cpuSeconds / records) * 1e6).toFixed(2)} CPU-s per million records`)
  await deployment.close()
}

/** WEIR_BENCH_PROFILE names a folder for a CPU profile of the pipeline process. */
function profileArguments(): string[] {
  const folder = process.env['WEIR_BENCH_PROFILE']
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]
}

/** User and system time so far, from Linux's /proc, in its hundredths of a second. */
function cpuSecondsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** One reading at a time on an otherwise idle pipeline. */
async function measureSight(readings: number): Promise<void> {
  const deployment = await deploy(1)
  const pipeline = await deployment.start()
  const seen = new Map<number, () => void>()
  const consumer = deployment.log.consumer({
    name: 'bench',
    group: undefined,
    topics: [`${deployment.prefix}rollups.v1`],
    handler: {
      assigned: async () => 0,
      revoked: () => {},
      batch: async (batch) => {
        batch.forEach((record) => {
          for (const { windows } of deployment.liveUpdateOf(record)) {
            for (const { lastTs } of windows) seen.get(lastTs)?.()
          }
        })
      },
    },
  })
  await consumer.start()
  const [live, row]: [number[], number[]] = [[], []]
  for (let n = 0; n < readings; n += 1) {
    // At every phase of the flush interval, not always right after a flush.
    await new Promise((resolve) => setTimeout(resolve, (n * 337) % 1_000))
    const sentMs = systemClock.nowMs()
    const record = emptyRecord('d0', sentMs)
    record.numbers.push({ metric: 'm', t0: sentMs, dt: [0], v: [n] })
    const update = new Promise<void>((resolve) => seen.set(sentMs, resolve))
    await deployment.send(record)
    await update
    live.push(systemClock.nowMs() - sentMs)
    while (!(await rowIsThere(deployment, sentMs))) continue
    row.push(systemClock.nowMs() - sentMs)
  }
  say(`reading to live update: ${percentiles(live)}`)
  say(`reading to ClickHouse row: ${percentiles(row)}`)
  await consumer.drain(1_000)
  await pipeline.stop()
  await deployment.close()
}

async function rowIsThere({ clickhouse }: Deployment, tsMs: number): Promise<boolean> {
  const text = `SELECT 1 FROM samples WHERE ts = fromUnixTimestamp64Milli(${tsMs}) LIMIT 1`
  return (await clickhouse.select(text)).length > 0
}

function percentiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${sorted.at(-1)} ms`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

await measureBacklog(Number(process.argv[2] ?? 200_000))
if (process.argv[3] !== 'backlog') await measureSight(30)
