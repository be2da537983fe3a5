/**
 * Runs the Kafka Streams program of loadtest/peers/kafka-streams as a peer of `bench rollup`: built
 * by Maven when it is first needed, a process of its own, and its output topics read to the end.
 */
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  renameSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { packageRoot } from '../../platform/package-root.ts'
import { startCommand } from '../child-program.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import type { BenchSpace } from './bench-space.ts'
import { type Preloaded, RESOLUTIONS_MS } from './telemetry-fleet.ts'
import type { Counted, Counting } from './rollup-contenders.ts'

export type StreamsGuarantee = 'exactly_once_v2' | 'at_least_once'

/** Cheaper on two cores than the default collector, which is for larger heaps. */
const JVM = ['-Xmx1g', '-XX:+UseSerialGC']
const POLL_MS = 200
const COUNTED_LIMIT_MS = 600_000

export async function runStreams(
  { space, loaded, meter }: Counting,
  guarantee: StreamsGuarantee,
): Promise<Counted> {
  const { brokers, registryUrl, topic, topicPrefix, folder } = space
  const classPath = await builtProgram(space.envOf())
  const name = guarantee === 'at_least_once' ? 'streams-alo' : 'streams-eos'
  const application = `${topicPrefix}${name}`
  const stateDir = join(folder, name)
  const startMs = systemClock.monotonicMs()
  const peer = startCommand(
    'java',
    [
      ...JVM,
      ...['-cp', classPath, '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'],
      'weir.peer.RollupStreams',
      ...[brokers.join(','), registryUrl, topic, application, guarantee, stateDir],
    ],
    { env: space.envOf() },
  )
  try {
    meter.add(name, peer.pid)
    await peer.says('running')
    const readyCpuS = meter.secondsOf(name)
    await Promise.race([committedToEnd(space, application), endedTooEarly(peer.ended)])
    const tookS = (systemClock.monotonicMs() - startMs) / 1000
    meter.finishAll()
    await peer.end()
    await requireExactWindows(space, application, loaded)
    return { tookS, readyCpuS }
  } finally {
    await peer.end()
    rmSync(stateDir, { recursive: true, force: true })
  }
}

async function endedTooEarly(ended: Promise<void>): Promise<never> {
  await ended
  throw new Failure('unavailable', 'the Kafka Streams program ended by itself')
}

/** The class path of the program as its sources are now. */
async function builtProgram(env: Readonly<NodeJS.ProcessEnv>): Promise<string> {
  const sources = join(packageRoot(), 'loadtest', 'peers', 'kafka-streams')
  const hash = createHash('sha256')
  for (const path of readdirSync(sources, { recursive: true, encoding: 'utf8' }).toSorted()) {
    if (/\.(?:java|xml)$/.test(path)) hash.update(readFileSync(join(sources, path)))
  }
  const peers = join(packageRoot(), '.weir', 'peers')
  const folder = join(peers, `kafka-streams-${hash.digest('hex').slice(0, 12)}`)
  if (!existsSync(folder)) {
    const half = `${folder}.half-${process.pid}`
    mkdirSync(peers, { recursive: true })
    cpSync(sources, half, { recursive: true })
    const maven = startCommand('mvn', ['-B', '-q', '-ntp', 'package'], { env, cwd: half })
    await maven.ended
    renameSync(half, folder)
  }
  const target = join(folder, 'target')
  return `${join(target, 'rollup-streams-1.jar')}:${join(target, 'lib', '*')}`
}

/** Its results are in its topics before it commits where it has read to. */
function committedToEnd({ brokers, topic }: BenchSpace, group: string): Promise<void> {
  const limitMs = systemClock.monotonicMs() + COUNTED_LIMIT_MS
  return withLogAdmin(kafkaLog(brokers), async (admin) => {
    const ends = await admin.offsetRange(topic)
    for (;;) {
      const committed = await admin.committed(group, topic)
      const open = [...ends].filter(
        ([partition, { earliest, end }]) =>
          end > earliest && (committed.get(partition)?.offset ?? 0) < end,
      )
      if (open.length === 0) return
      if (systemClock.monotonicMs() > limitMs) {
        throw new Failure('unavailable', `${group} has not read ${topic} to its end`)
      }
      await sleep(POLL_MS)
    }
  })
}

/** Of every window the last update counts, in whatever order the partitions are read. */
async function requireExactWindows(
  space: BenchSpace,
  application: string,
  loaded: Preloaded,
): Promise<void> {
  for (const resolutionMs of RESOLUTIONS_MS) {
    const newest = new Map<string, readonly MetricWindow[]>()
    await readToEnd(space, `${application}-windows-${resolutionMs}`, (key, value) => {
      newest.set(key.toString('latin1'), windowsOf(value))
    })
    const all = [...newest.values()].flat()
    const samples = all.reduce((total, { count }) => total + count, 0)
    const sum = all.reduce((total, window) => total + window.sum, 0)
    const windows = loaded.windows.get(resolutionMs)
    if (all.length === windows && samples === loaded.samples && sum === loaded.sum) continue
    throw new Failure(
      'internal',
      `void: ${application} has ${all.length} windows of ${resolutionMs} ms, ${samples} samples, sum ${sum}; ` +
        `not ${windows}, ${loaded.samples}, ${loaded.sum}`,
    )
  }
}

type MetricWindow = Readonly<{ count: number; sum: number }>

/** The layout is in DeviceWindow.java. */
function windowsOf(bytes: Buffer): readonly MetricWindow[] {
  const windows: MetricWindow[] = []
  let at = 4
  for (let left = bytes.readInt32BE(0); left > 0; left--) {
    at += 4 + bytes.readInt32BE(at)
    windows.push({ count: Number(bytes.readBigInt64BE(at)), sum: bytes.readDoubleBE(at + 8) })
    at += 32
  }
  return windows
}

async function readToEnd(
  { brokers }: BenchSpace,
  topic: string,
  visit: (key: Buffer, value: Buffer) => void,
): Promise<void> {
  const log = kafkaLog(brokers)
  const ends = await withLogAdmin(log, (admin) => admin.offsetRange(topic))
  const open = new Set([...ends].flatMap(([id, { earliest, end }]) => (end > earliest ? [id] : [])))
  let atEnd: () => void = () => {}
  const read = new Promise<void>((resolve) => (atEnd = resolve))
  const consumer = log.consumer({
    ...{ name: 'reader', group: undefined, topics: [topic] },
    handler: {
      assigned: async () => 0,
      revoked: () => {},
      batch: async (batch) => {
        batch.forEach(({ key, value }) => {
          if (key !== null && value !== null) visit(key, value)
        })
        // A transaction ends with a marker, which nobody is shown: the end itself is not seen.
        if (batch.lastOffset + 2 >= (ends.get(batch.partition)?.end ?? 0))
          open.delete(batch.partition)
        if (open.size === 0) atEnd()
      },
    },
  })
  await consumer.start()
  await Promise.race([read, consumer.failure])
  await consumer.drain(10_000)
}
