/** Faults of the machine: packets dropped, disks full, clocks that jump. */
import { openSync, closeSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dropPackets, fakeClockLibrary } from './machine.ts'
import type { Fault, RoundContext } from './round.ts'
import type { Unit } from './unit.ts'

const PARTITION_MS = 8_000
const LOSSY_MS = 10_000
const FULL_MS = 8_000
const BALLAST_BYTES = 1 << 20
const HOUR_S = 3_600
const DAY_S = 86_400

type Way = 'both ways' | 'answers only'

/** Ports of the proxies that a role goes through, one for each broker. */
const cutOff =
  (ports: (context: RoundContext) => readonly number[], way: Way) =>
  async (context: RoundContext): Promise<void> => {
    const heals = ports(context).flatMap((port) => [
      dropPackets(['--sport', String(port)]),
      ...(way === 'both ways' ? [dropPackets(['--dport', String(port)])] : []),
    ])
    try {
      await sleep(PARTITION_MS)
    } finally {
      for (const heal of heals) heal()
    }
  }

const edgePorts = ({ system }: RoundContext) => system.kafka.ports.map((own) => own.edgeProxy)
const riverPorts = ({ system }: RoundContext) => system.kafka.ports.map((own) => own.riverProxy)
const tablePorts = ({ system }: RoundContext) => [system.ports.clickhouseProxy]

/** Every twentieth packet of Kafka's and ClickHouse's clients is lost. */
async function lossy(context: RoundContext): Promise<void> {
  const loss = ['-m', 'statistic', '--mode', 'random', '--probability', '0.05']
  const ports = [...edgePorts(context), ...riverPorts(context), ...tablePorts(context)]
  const heals = ports.flatMap((port) => [
    dropPackets(['--sport', String(port), ...loss]),
    dropPackets(['--dport', String(port), ...loss]),
  ])
  await sleep(LOSSY_MS)
  for (const heal of heals) heal()
}

/** A file takes all that is left, and more of it as something is freed. */
async function fullFor(folder: string, ms: number): Promise<number> {
  const path = join(folder, 'ballast')
  const file = openSync(path, 'w')
  const block = Buffer.alloc(BALLAST_BYTES, 1)
  let bytes = 0
  try {
    for (let left = ms; left > 0; left -= 200) {
      try {
        for (;;) bytes += writeSync(file, block)
      } catch {
        await sleep(200) // No space left, which is the point.
      }
    }
  } finally {
    closeSync(file)
    rmSync(path)
  }
  return bytes
}

async function clickhouseDiskFull({ system, note }: RoundContext): Promise<void> {
  const bytes = await fullFor(join(system.folder, 'disk-clickhouse'), FULL_MS)
  note(`${Math.round(bytes / BALLAST_BYTES)} MB of ballast`)
}

async function kafkaDiskFull({ system, note }: RoundContext): Promise<void> {
  const [broker] = system.kafka.brokers
  const exits = broker?.exits ?? 0
  const bytes = await fullFor(join(system.folder, 'disk-kafka'), FULL_MS)
  note(
    `${Math.round(bytes / BALLAST_BYTES)} MB of ballast; the broker ended ${(broker?.exits ?? 0) - exits} times`,
  )
  if (broker !== undefined && !broker.running) await broker.ready()
}

/** Its crash journal is the only file the pipeline writes. */
async function journalDiskFull(context: RoundContext): Promise<void> {
  const { system, acknowledgedMore } = context
  const full = fullFor(join(system.folder, 'disk-journal'), FULL_MS)
  await acknowledgedMore(200)
  const again = system.pipeline.ready()
  system.pipeline.signal('SIGKILL')
  await again
  await full
}

/** The process is restarted under a clock that can be set while it runs, jumps, and is restarted. */
const clockJumps =
  (of: 'pipeline' | 'connectors', jumpS: number) =>
  async (context: RoundContext): Promise<void> => {
    const { system, acknowledgedMore } = context
    const unit: Unit = system[of]
    const own = unit.spec
    const file = join(system.folder, `${of}.clock`)
    writeFileSync(file, '+0')
    const env = {
      LD_PRELOAD: fakeClockLibrary() ?? '',
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
    const faked =
      of === 'pipeline' ? system.pipelineSpec(own.id, { env }) : system.connectorSpec({ env })
    await restartAs(unit, faked)
    await acknowledgedMore(150)
    writeFileSync(file, `${jumpS < 0 ? '' : '+'}${jumpS}`)
    await sleep(2_500)
    await acknowledgedMore(300)
    writeFileSync(file, '+0')
    await sleep(1_500)
    await restartAs(unit, own)
  }

async function restartAs(unit: Unit, spec: Unit['spec']): Promise<void> {
  await unit.stop()
  unit.spec = spec
  await unit.start()
}

const partition = (name: string, play: Fault['play']): Fault => ({
  name: `network partition: ${name}`,
  number: '10',
  on: 'one',
  play,
})
const jump = (of: 'pipeline' | 'connectors', text: string, seconds: number): Fault => ({
  name: `clock of the ${of === 'pipeline' ? 'pipeline' : 'connector'} ${text}`,
  number: '16',
  on: 'one',
  play: clockJumps(of, seconds),
  // What a connector with a wrong clock stamps is skewed by the log's own clock.
  lettersAllowed: of === 'connectors',
})

export const NETWORK_FAULTS: readonly Fault[] = [
  partition('connector and Kafka', cutOff(edgePorts, 'both ways')),
  partition('connector and Kafka, answers only', cutOff(edgePorts, 'answers only')),
  partition('pipeline and Kafka', cutOff(riverPorts, 'both ways')),
  partition('pipeline and ClickHouse', cutOff(tablePorts, 'both ways')),
  partition('pipeline and ClickHouse, answers only', cutOff(tablePorts, 'answers only')),
  { name: '5 % of packets lost', number: '11', on: 'one', play: lossy },
]
export const DISK_FAULTS: readonly Fault[] = [
  { name: 'disk full under ClickHouse', number: '15', on: 'small disk', play: clickhouseDiskFull },
  { name: 'disk full under the pipeline', number: '15', on: 'small disk', play: journalDiskFull },
  { name: 'disk full under Kafka', number: '15', on: 'small disk', play: kafkaDiskFull },
]
export const CLOCK_FAULTS: readonly Fault[] = [
  jump('pipeline', '+1 h', HOUR_S),
  jump('pipeline', '-1 h', -HOUR_S),
  jump('pipeline', '+1 d', DAY_S),
  jump('pipeline', '-1 d', -DAY_S),
  jump('connectors', '+1 d', DAY_S),
  jump('connectors', '-1 d', -DAY_S),
]
