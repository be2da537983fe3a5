/**
 * `bench mqtt`: what a million QoS 1 messages cost from the socket to Kafka's acks=all. The
 * acknowledgement a device sees comes after the write is durable, so p50/p99 include Kafka.
 *
 * What it does not show: TLS, other payload shapes, and a machine whose other servers are idle;
 * pipeline and ClickHouse work at the same time and are listed on their own lines.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { TELEMETRY } from '../../schemas/topics.ts'
import { queryRows } from '../clickhouse-query.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { DeviceAccounts } from '../device-accounts.ts'
import { MqttClient } from '../mqtt-client.ts'
import { ProgressLine } from '../progress-line.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import { waitUntilCounted } from '../reconcile/quiescence.ts'
import { printJson, quantile } from '../report.ts'
import { type StackFile, hostAndPort, partOf, readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS, cpuReport, printCpuReport } from './bench-options.ts'
import { type MeasuredRound, measured } from './measured-round.ts'
import { withStack } from '../own-stack.ts'
import { type LoadResult, PublishLoad } from './publish-load.ts'
import { serversOf } from './stack-servers.ts'

const { stack, serversDir, rounds, json } = BENCH_OPTIONS

const OPTIONS = {
  ...{ stack, serversDir, rounds, json },
  connections: { kind: 'integer', default: 500, min: 1, max: 20_000, doc: 'Devices, one each.' },
  rate: {
    kind: 'integer',
    default: 5000,
    min: 0,
    max: 200_000,
    unit: 'messages/s',
    doc: 'Open loop over all connections; 0: closed loop, as fast as acknowledgements come.',
  },
  inFlight: {
    kind: 'integer',
    default: 4,
    min: 1,
    max: 64,
    doc: 'Unacknowledged messages per connection in a closed loop.',
  },
  seconds: { kind: 'integer', default: 10, min: 1, max: 600, unit: 's', doc: 'Length of a round.' },
} as const

const WARM_UP_MS = 5000
const COUNTED_LIMIT_MS = 120_000

export const benchMqttCommand = commandWithOptions({
  name: 'bench mqtt',
  summary: 'CPU seconds per million QoS 1 messages into Kafka, and publish to acknowledgement',
  options: OPTIONS,
  run: (options, env) =>
    withStack({ ...options, env }, (stackPath) => benchMqtt(stackPath, options)),
})

async function benchMqtt(
  stackPath: string,
  options: OptionValues<typeof OPTIONS>,
): Promise<number> {
  const stack = readStackFile(stackPath)
  const servers = serversOf(stackPath, ['connector', 'kafka'])
  const prefix = `bench-${randomBytes(3).toString('hex')}`
  const progress = new ProgressLine()
  progress.show(() => `bench mqtt: connecting ${options.connections} devices`)
  const clients = await connected(stack, prefix, options.connections)
  const load = new PublishLoad(clients)
  const play = (ms: number): Promise<LoadResult> =>
    options.rate === 0 ? load.closedLoop(options.inFlight, ms) : load.openLoop(options.rate, ms)
  const results: LoadResult[] = [await play(WARM_UP_MS)]
  const rounds: { round: MeasuredRound; messages: number }[] = []
  for (let index = 0; index < options.rounds; index++) {
    progress.show(() => `bench mqtt: round ${index + 1} of ${options.rounds}`)
    // The pipeline's work for the round before is not this round's.
    await counted(stack)
    await sleep(500)
    const { round, result } = await measured(servers, () => play(options.seconds * 1000))
    results.push(result)
    rounds.push({ round, messages: result.sent })
  }
  progress.show(() => 'bench mqtt: counting what is stored')
  await Promise.all(clients.map((client) => client.end()))
  await counted(stack)
  await verify(stack, prefix, results)
  progress.stop()
  const report = cpuReport(rounds)
  const ackMs = results
    .slice(1)
    .flatMap((result) => result.ackMs)
    .sort((a, b) => a - b)
  const latency = { ackMsP50: quantile(ackMs, 0.5), ackMsP99: quantile(ackMs, 0.99) }
  printCpuReport(`QoS 1, ${options.connections} connections, acks=all`, report)
  process.stdout.write(
    `publish to acknowledgement p50 ${latency.ackMsP50.toFixed(1)} ms, p99 ${latency.ackMsP99.toFixed(1)} ms; every message is stored once\n`,
  )
  const { connections, rate } = options
  if (options.json) {
    printJson({ command: 'bench mqtt', ok: true, connections, rate, ...report, ...latency })
  }
  return EXIT.ok
}

async function connected(
  stack: StackFile,
  prefix: string,
  connections: number,
): Promise<MqttClient[]> {
  const names = Array.from({ length: connections }, (_, index) => `${prefix}-${index}`)
  const accounts = new DeviceAccounts(partOf(stack, 'api'), undefined)
  const credentials = await accounts.ensure(names.map((id) => ({ id, name: id })))
  const clients: MqttClient[] = []
  for (const id of names) {
    const credential = credentials.get(id)
    const client = new MqttClient({
      ...hostAndPort(partOf(stack, 'mqtt').url, 1883),
      clientId: id,
      username: credential?.username ?? '',
      password: credential?.secret ?? '',
    })
    const outcome = await client.connect()
    if (outcome.kind !== 'connected') {
      throw new Failure('unavailable', `device ${id} could not connect: ${outcome.kind}`)
    }
    clients.push(client)
  }
  return clients
}

async function counted(stack: StackFile): Promise<void> {
  const { brokers, topicPrefix } = partOf(stack, 'kafka')
  await withLogAdmin(kafkaLog(brokers), (admin) =>
    waitUntilCounted({
      admin,
      topic: `${topicPrefix}${TELEMETRY.name}`,
      group: `${topicPrefix}rollup`,
      clock: systemClock,
      limitMs: COUNTED_LIMIT_MS,
    }),
  )
}

/** A run with loss is void: throws unless every message is stored exactly once. */
async function verify(
  stack: StackFile,
  prefix: string,
  results: readonly LoadResult[],
): Promise<void> {
  const sent = results.reduce((sum, result) => sum + result.sent, 0)
  const seqSum = results.reduce((sum, result) => sum + result.seqSum, 0)
  const [row = []] = await queryRows(partOf(stack, 'clickhouse'), {
    sql: `SELECT toUInt32(count()), sum(value) FROM samples FINAL WHERE (tenant, series) IN
      (SELECT tenant, series FROM series WHERE startsWith(device, {prefix:String}) AND metric = 'seq')`,
    parameters: { prefix: `${prefix}-` },
  })
  if (row[0] === sent && row[1] === seqSum) return
  throw new Failure('internal', `void: sent ${sent} (sum ${seqSum}), stored ${row.join(' (sum ')})`)
}
