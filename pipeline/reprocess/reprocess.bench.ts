/**
 * How fast `weir reprocess` goes through a week of samples: every window read and compared, none of
 * them wrong, so nothing is written. User and system time are of this process alone; ClickHouse's
 * are not in it. Arguments: thousands of samples, devices, partitions.
 *
 *   WEIR_TEST_STACK=… node reprocess.bench.js 1000 60 12        ends with one JSON line
 */
import { systemClock } from '../../platform/clock.ts'
import { describedIn } from '../operator/testing/operator.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'
import { FOLD_EPOCH } from '../window/window-version.ts'
import { reprocessCommand } from './main.ts'

const DAY_MS = 86_400_000
const SPAN_MS = 7 * DAY_MS
const SAMPLES_PER_RECORD = 200

type Load = Readonly<{ devices: number; perDevice: number; fromMs: number }>

/** Samples of the past, device by device evenly over the days. */
async function upload(deployment: Deployment, { devices, perDevice, fromMs }: Load): Promise<void> {
  const stepMs = Math.floor((SPAN_MS - 3_600_000) / perDevice)
  for (let from = 0; from < perDevice; from += SAMPLES_PER_RECORD) {
    const count = Math.min(SAMPLES_PER_RECORD, perDevice - from)
    const dt = Array.from({ length: count }, (_, n) => n * stepMs)
    const sent = Array.from({ length: devices }, (_, device) => {
      const record = emptyRecord(`d${device}`, systemClock.nowMs())
      const t0 = fromMs + from * stepMs
      record.numbers.push({ metric: 'm', t0, dt, v: dt.map((ms) => Math.sin(ms + device)) })
      return deployment.send(record)
    })
    await Promise.all(sent)
  }
}

/** Nothing was wrong: a row under another fold epoch was written by mistake. */
async function requireUntouched({ clickhouse }: Deployment): Promise<void> {
  for (const table of ['rollup_10s', 'rollup_1m', 'rollup_1h', 'rollup_1d']) {
    const [found] = await clickhouse.select<{ rows: string }>(
      `SELECT count() AS rows FROM ${table} WHERE ver % 256 != ${FOLD_EPOCH}`,
    )
    if (found?.rows !== '0') throw new Error(`${found?.rows} rows of ${table} were rewritten`)
  }
}

async function main([thousands = 1_000, devices = 60, partitions = 12]: readonly number[]) {
  const perDevice = Math.floor((thousands * 1_000) / devices)
  const fromMs = systemClock.nowMs() - SPAN_MS
  const deployment = await deploy(partitions, { latenessMs: '1000' })
  try {
    const pipeline = await deployment.start()
    try {
      await upload(deployment, { devices, perDevice, fromMs })
      await Promise.race([deployment.settled(), pipeline.failure])
    } finally {
      await pipeline.stop()
    }
    const startedMs = systemClock.monotonicMs()
    const before = process.cpuUsage()
    const argv = ['--from', String(fromMs), '--stack', describedIn(deployment)]
    const status = await reprocessCommand.run(argv, {})
    const { user, system } = process.cpuUsage(before)
    if (status !== 0) throw new Error(`reprocess ended with ${status}`)
    await requireUntouched(deployment)
    const samples = perDevice * devices
    const tookS = (systemClock.monotonicMs() - startedMs) / 1_000
    const cpuSPerMillion = (user + system) / samples
    process.stdout.write(`${JSON.stringify({ samples, tookS, cpuSPerMillion })}\n`)
  } finally {
    await deployment.close()
  }
}

await main(process.argv.slice(2).map(Number))
