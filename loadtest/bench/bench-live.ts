/**
 * `bench live`: from a device's clock to a subscriber of the live feed, both on this machine, with
 * a fleet's load beside it. It includes MQTT, Kafka, the pipeline and the WebSocket; it does not
 * show a network, nor many subscribers.
 */
import { randomBytes } from 'node:crypto'
import type { LiveItem } from '../../api/contract/live.ts'
import { systemClock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { DeviceAccounts } from '../device-accounts.ts'
import { Fleet } from '../fleet/fleet.ts'
import { openLive } from '../live-client.ts'
import { ProgressLine } from '../progress-line.ts'
import { printJson, printTable, quantile } from '../report.ts'
import { type StackFile, partOf, readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS } from './bench-options.ts'
import { ExpectedNews } from './expected-news.ts'
import { withStack } from '../own-stack.ts'

const OPTIONS = {
  stack: BENCH_OPTIONS.stack,
  serversDir: BENCH_OPTIONS.serversDir,
  seed: BENCH_OPTIONS.seed,
  json: BENCH_OPTIONS.json,
  devices: { kind: 'integer', default: 200, min: 1, max: 10_000, doc: 'Devices that send.' },
  rate: {
    kind: 'integer',
    default: 1000,
    min: 1,
    max: 100_000,
    unit: 'messages/s',
    doc: 'Messages a second over all devices.',
  },
  seconds: { kind: 'integer', default: 20, min: 1, max: 600, unit: 's', doc: 'How long to send.' },
} as const

const P99_MS_MAX = 500
/** For what is under way when the last message is acknowledged. */
const ARRIVAL_MS_MAX = 10_000
const MIX = { unstamped: 0, duplicates: 0, outOfOrder: 0, late: 0, lateMsMax: 0, packed: 0 }

export const benchLiveCommand = commandWithOptions({
  name: 'bench live',
  summary: 'milliseconds from a reading to its update in the live feed, under load',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => benchLive(stackPath, options)),
})

async function benchLive(
  stackPath: string,
  options: OptionValues<typeof OPTIONS>,
): Promise<number> {
  const stack = readStackFile(stackPath)
  const prefix = `bench-${randomBytes(3).toString('hex')}`
  const progress = new ProgressLine()
  const news = new ExpectedNews()
  const fleet = fleetOf(stack, prefix, { ...options, news })
  progress.show(() => `bench live: ${fleet.sent} sent, ${fleet.acknowledged} acknowledged`)
  await fleet.connect()
  const delaysMs: number[] = []
  const closeLive = await openLive(partOf(stack, 'api'), {
    stream: 'readings',
    devices: ['*'],
    metrics: ['seq'],
    onItems: (items, kind) => {
      if (kind === 'snapshot') return
      for (const item of items) note(item)
    },
  })
  const note = (item: LiveItem): void => {
    if (!('at' in item) || !item.device.startsWith(prefix)) return
    if (news.told(item.device, item.at)) delaysMs.push(systemClock.nowMs() - item.at)
  }
  await fleet.play(new Promise(() => {}))
  const { sent } = await fleet.finish(60_000)
  await news.complete(ARRIVAL_MS_MAX)
  await closeLive()
  progress.stop()
  const sorted = delaysMs.sort((a, b) => a - b)
  const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)]
  printTable([
    ['event to live update', ''],
    ['messages sent', sent],
    ['steps forward in event time', news.steps],
    ['steps seen', sorted.length],
    ['devices whose newest was not seen', news.devicesBehind],
    ['p50 ms', p50],
    ['p99 ms', p99],
  ])
  const ok = sorted.length > 0 && news.devicesBehind === 0 && p99 < P99_MS_MAX
  if (options.json) {
    const { steps, devicesBehind } = news
    const updates = sorted.length
    printJson({ command: 'bench live', ok, sent, steps, updates, devicesBehind, p50, p99 })
  }
  return ok ? EXIT.ok : EXIT.failed
}

function fleetOf(
  stack: StackFile,
  prefix: string,
  options: Readonly<{
    seed: string
    devices: number
    rate: number
    seconds: number
    news: ExpectedNews
  }>,
): Fleet {
  const { seed, devices, rate, seconds, news } = options
  return new Fleet({
    mqttUrl: partOf(stack, 'mqtt').url,
    accounts: new DeviceAccounts(partOf(stack, 'api'), undefined),
    ledger: news,
    clock: systemClock,
    seed,
    prefix,
    devices,
    ratePerS: rate,
    durationMs: seconds * 1000,
    mix: MIX,
    bursts: 0,
    qos: 1,
  })
}
