/**
 * Who counts the preloaded topic in `bench rollup`: our pipeline and its peers, each as a process of
 * its own that starts at the first record. Each must come to the exact sums, or the round is void.
 */
import { join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import { startProgram, startWeir } from '../child-program.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import { waitUntilCounted } from '../reconcile/quiescence.ts'
import { type BenchSpace, withOtherTables } from './bench-space.ts'
import type { CpuMeter } from './measured-round.ts'
import type { Preloaded } from './telemetry-fleet.ts'
import { mergesEnded, requireExactSums } from './stored-sums.ts'
import { type StreamsGuarantee, runStreams } from './kafka-streams-peer.ts'

export const CONTENDERS = ['weir', 'kafkajs', 'streams-eos', 'streams-alo'] as const
export type Contender = (typeof CONTENDERS)[number]

/** What the figures of each stand for, in the table's words. */
export const CONTENDER_NOTES: Readonly<Record<Contender, string>> = {
  weir: 'weir pipeline: raw rows and both windows in ClickHouse, exactly once',
  kafkajs:
    'kafkajs 2.2.4 eachMessage + JSONEachRow: the same tables, windows without m2 and integral; offsets are committed before rows are written, so a crash loses',
  'streams-eos':
    'Kafka Streams 4.1.1, exactly_once_v2: both windows (count, sum, min, max) to Kafka topics; no raw rows, no ClickHouse',
  'streams-alo':
    'Kafka Streams 4.1.1, at_least_once, updates cached for 10 s: as above, and a crash counts twice',
}

export type Counting = Readonly<{
  space: BenchSpace
  loaded: Preloaded
  meter: CpuMeter
  /** Folder for a CPU profile of our pipeline; none where it is empty. */
  profile: string
}>
/** `readyCpuS`: what its process had used when it said that it was ready, which is its start. */
export type Counted = Readonly<{ tookS: number; readyCpuS: number }>

const COUNTED_LIMIT_MS = 600_000

export function runContender(name: Contender, counting: Counting): Promise<Counted> {
  switch (name) {
    case 'weir':
      return runPipeline(counting)
    case 'kafkajs':
      return withOtherTables(counting.space, name, (space) =>
        runEachMessage({ ...counting, space }),
      )
    case 'streams-eos':
      return streams(counting, 'exactly_once_v2')
    case 'streams-alo':
      return streams(counting, 'at_least_once')
  }
}

async function runPipeline({ space, loaded, meter, profile }: Counting): Promise<Counted> {
  const startMs = systemClock.monotonicMs()
  const nodeFlags = profile === '' ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const pipeline = startWeir(['pipeline'], space.envOf(), nodeFlags)
  try {
    meter.add('weir', pipeline.pid)
    await pipeline.ready
    const readyCpuS = meter.secondsOf('weir')
    await countedByPipeline(space)
    const tookS = (systemClock.monotonicMs() - startMs) / 1000
    meter.finish('weir')
    await pipeline.end()
    await closeBooks({ space, loaded, meter })
    return { tookS, readyCpuS }
  } finally {
    await pipeline.end()
  }
}

/** Resolves when everything that is in the topic now is in the tables. */
export const countedByPipeline = ({ brokers, topic, group }: BenchSpace): Promise<number> =>
  withLogAdmin(kafkaLog(brokers), (admin) =>
    waitUntilCounted({
      admin,
      ...{ topic, group },
      clock: systemClock,
      limitMs: COUNTED_LIMIT_MS,
    }),
  )

async function runEachMessage({ space, loaded, meter }: Counting): Promise<Counted> {
  const startMs = systemClock.monotonicMs()
  const { brokers, registryUrl, topic, topicPrefix, clickhouse } = space
  const peer = startProgram(
    [
      join(import.meta.dirname, '../peers/kafkajs-each-message.js'),
      ...[brokers.join(','), registryUrl, topic, `${topicPrefix}peer`],
      ...[clickhouse.url, clickhouse.database],
    ],
    space.envOf(),
  )
  try {
    meter.add('kafkajs', peer.pid)
    await peer.ready
    const readyCpuS = meter.secondsOf('kafkajs')
    await peer.says('done')
    const tookS = (systemClock.monotonicMs() - startMs) / 1000
    meter.finish('kafkajs')
    await peer.end()
    await closeBooks({ space, loaded, meter })
    return { tookS, readyCpuS }
  } finally {
    await peer.end()
  }
}

const streams = (counting: Counting, guarantee: StreamsGuarantee): Promise<Counted> =>
  runStreams(counting, guarantee)

/** What merging costs belongs to who caused it; what checking costs belongs to nobody. */
async function closeBooks({
  space,
  loaded,
  meter,
}: Pick<Counting, 'space' | 'loaded' | 'meter'>): Promise<void> {
  await mergesEnded(space.clickhouse)
  meter.finishAll()
  await requireExactSums(space.clickhouse, loaded)
}
