/**
 * `weir loadtest run`: a simulated fleet with every trouble that real ones make, and a ledger of
 * what was acknowledged. With --reconcile it also proves what became of it.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { DeviceAccounts } from '../device-accounts.ts'
import { LedgerWriter, readLedger } from '../ledger.ts'
import { withStack } from '../own-stack.ts'
import { ProgressLine } from '../progress-line.ts'
import { holds } from '../reconcile/compare.ts'
import { printVerdict, reconcile } from '../reconcile/reconcile.ts'
import { printJson, printTable } from '../report.ts'
import { type StackFile, partOf, readStackFile } from '../stack-file.ts'
import { untilSignal } from '../until-signal.ts'
import { Fleet, type FleetResult } from './fleet.ts'

const percent = (value: number, doc: string) =>
  ({ kind: 'integer', default: value, min: 0, max: 100, unit: '%', doc }) as const

const OPTIONS = {
  stack: {
    kind: 'text',
    default: '',
    doc: 'Description of a running system (.weir/local.json); empty: one of its own, reconciled.',
  },
  serversDir: {
    kind: 'text',
    default: '',
    doc: 'Where downloaded servers are kept; empty: .weir/servers of this checkout.',
  },
  devices: { kind: 'integer', default: 100, min: 1, max: 20_000, doc: 'Connections, one each.' },
  rate: {
    kind: 'integer',
    default: 500,
    min: 1,
    max: 200_000,
    unit: 'messages/s',
    doc: 'Messages a second over all devices.',
  },
  duration: {
    kind: 'integer',
    default: 30,
    min: 1,
    max: 86_400,
    unit: 's',
    doc: 'How long to send.',
  },
  drain: {
    kind: 'integer',
    default: 60,
    min: 0,
    max: 3600,
    unit: 's',
    doc: 'How long to wait afterwards for acknowledgements.',
  },
  seed: { kind: 'text', default: 'weir', doc: 'Names the random course of the fleet.' },
  qos: { kind: 'choice', choices: ['0', '1'], default: '1', doc: 'MQTT quality of service.' },
  unstamped: percent(30, 'Devices without a clock.'),
  duplicates: percent(5, 'Stamped messages sent a second time.'),
  outOfOrder: percent(10, 'Samples stamped up to 8 s back.'),
  late: percent(5, 'Samples whose windows have closed.'),
  lateMax: {
    kind: 'integer',
    default: 3600,
    min: 31,
    max: 86_400 * 30,
    unit: 's',
    doc: 'How far back the latest of them are stamped.',
  },
  packed: percent(10, 'Messages with several samples.'),
  bursts: percent(1, 'Chance of a device to send twenty messages at once.'),
  ledger: { kind: 'text', default: '', doc: 'Ledger to write; empty: beside the stack file.' },
  reconcile: {
    kind: 'switch',
    default: false,
    doc: 'Compare the ledger with the tables afterwards.',
  },
  json: { kind: 'switch', default: false, doc: 'Print one JSON object as the last line.' },
} as const
const COUNTED_LIMIT_MS = 120_000
type Options = OptionValues<typeof OPTIONS>

export const runCommand = commandWithOptions({
  name: 'loadtest run',
  summary: 'plays a simulated fleet and keeps a ledger of every acknowledged sample',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => runFleet(stackPath, options)),
})

async function runFleet(stackPath: string, options: Options): Promise<number> {
  const stack = readStackFile(stackPath)
  // Fresh devices for every run: what an earlier one stored cannot be mistaken for ours.
  const prefix = `lt-${randomBytes(3).toString('hex')}`
  // A stack of its own is gone afterwards, and the ledger should not go with it.
  const folder = options.stack === '' ? tmpdir() : join(dirname(stackPath), 'loadtest')
  mkdirSync(folder, { recursive: true })
  const path = options.ledger === '' ? join(folder, `${prefix}.ledger`) : options.ledger
  const result = await playFleet(options, { stack, prefix, path })
  printTable([['fleet', ''], ...Object.entries(result).map(([name, value]) => [name, value])])
  process.stdout.write(`ledger: ${path}\n`)
  const answered = options.qos === '0' || result.unacknowledged === 0
  const orderly = answered && result.acksOutOfOrder === 0
  const report = { command: 'loadtest run', seed: options.seed, ledger: path, ...result }
  if (!options.reconcile && options.stack !== '') {
    if (options.json) printJson({ ...report, ok: orderly })
    return orderly ? EXIT.ok : EXIT.failed
  }
  const ledger = await readLedger(path)
  const verdict = await reconcile({ stack, ledger, limitMs: COUNTED_LIMIT_MS })
  printVerdict(verdict)
  const ok = orderly && holds(verdict)
  if (options.json) printJson({ ...report, ok, verdict })
  return ok ? EXIT.ok : EXIT.failed
}

async function playFleet(
  options: Options,
  { stack, prefix, path }: Readonly<{ stack: StackFile; prefix: string; path: string }>,
): Promise<FleetResult> {
  const { seed, devices, rate, duration, drain } = options
  const startedAtMs = systemClock.nowMs()
  const ledger = new LedgerWriter(path, { ledger: 1, prefix, seed, startedAtMs })
  const fleet = new Fleet({
    mqttUrl: partOf(stack, 'mqtt').url,
    // The secrets live as long as the run: its devices are never used again.
    accounts: new DeviceAccounts(partOf(stack, 'api'), undefined),
    ledger,
    clock: systemClock,
    seed,
    prefix,
    devices,
    ratePerS: rate,
    durationMs: duration * 1000,
    mix: {
      unstamped: options.unstamped / 100,
      duplicates: options.duplicates / 100,
      outOfOrder: options.outOfOrder / 100,
      late: options.late / 100,
      lateMsMax: options.lateMax * 1000,
      packed: options.packed / 100,
    },
    bursts: options.bursts / 100,
    qos: options.qos === '0' ? 0 : 1,
  })
  const progress = new ProgressLine()
  progress.show(() => `loadtest: ${fleet.sent} sent, ${fleet.acknowledged} acknowledged`)
  await fleet.connect()
  await fleet.play(untilSignal())
  const result = await fleet.finish(drain * 1000)
  progress.stop()
  await ledger.end()
  return result
}
