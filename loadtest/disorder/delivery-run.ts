/**
 * One run: deliveries in their order into topics and tables of the run's own, counted by the real
 * pipeline process while they come, until all windows are closed and everything is settled.
 */
import { systemClock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { tickRecord } from '../../schemas/telemetry.ts'
import { deviceKey } from '../../schemas/topics.ts'
import type { BenchSpace } from '../bench/bench-space.ts'
import { countedByPipeline } from '../bench/rollup-contenders.ts'
import { telemetryEncoder } from '../bench/telemetry-fleet.ts'
import { type ChildProgram, startWeir } from '../child-program.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import type { Delivery } from './delivery-plan.ts'

export const LATENESS_MS = 15_000
/** Ticks of its own would close the windows of the past that is being delivered. */
const OPTIONS = {
  latenessMs: String(LATENESS_MS),
  flushIntervalMs: '200',
  liveIntervalMs: '10',
  tickIntervalMs: '600000',
} as const
/** Delivered, counted and committed one after the other, so that corrections meet stored rows. */
const PORTIONS = { min: 4, max: 12, messages: 500 } as const
const CHUNK = { min: 8, perPortion: 100 } as const
const QUEUED_BYTES_MAX = 32 * 1024 * 1024
const CLOSE_MS = 60_000

/** The pipeline's own counters. */
export type Counted = Readonly<{
  records: number
  samples: number
  lateSamples: number
  /** Of those that came again, the ones whose windows were still open. */
  duplicateSamples: number
  refusedSamples: number
  corrections: number
}>

/** `progress` is told how many deliveries are counted. Rejects when the pipeline ends. */
export async function deliver(
  space: BenchSpace,
  deliveries: readonly Delivery[],
  progress: (counted: number) => void,
): Promise<Counted> {
  const pipeline = startWeir(['pipeline'], space.envOf(OPTIONS))
  const writer = kafkaLog(space.brokers).writer({
    ...{ name: 'disorder', queuedBytesMax: QUEUED_BYTES_MAX, lingerMs: 5 },
  })
  const encoder = await telemetryEncoder(space)
  await writer.start()
  try {
    const adminUrl = adminUrlOf(await pipeline.ready)
    const size = portionOf(deliveries.length)
    for (let from = 0; from < deliveries.length; from += size) {
      for (const few of chunks(deliveries.slice(from, from + size))) {
        const sent = few.map(({ message, partition }) => {
          const { tenant, device } = message.record
          const key = Buffer.from(deviceKey(tenant, device))
          const value = encoder.encode(message.record)
          return writer.append(space.topic, partition, { key, value })
        })
        await Promise.all(sent)
      }
      await counted(space, pipeline)
      progress(Math.min(from + size, deliveries.length))
    }
    const ends = await logEnds(space)
    if (sumOf(ends.values()) !== deliveries.length) {
      throw new Failure('internal', 'void: somebody else wrote to the topic, such as a tick')
    }
    const tick = encoder.encode(tickRecord(systemClock.nowMs()))
    const ticks = [...ends.keys()].map((partition) =>
      writer.append(space.topic, partition, { key: null, value: tick }),
    )
    await Promise.all(ticks)
    await counted(space, pipeline)
    // A flush is metered after its commit; the last one, of the ticks, corrects nothing.
    const now = await countersAt(adminUrl)
    await pipeline.end()
    return now
  } finally {
    await writer.drain(CLOSE_MS)
    await pipeline.end()
  }
}

function portionOf(messages: number): number {
  const { min, max } = PORTIONS
  const portions = Math.min(max, Math.max(min, Math.floor(messages / PORTIONS.messages)))
  return Math.ceil(messages / portions)
}

/** Each is acknowledged before the next, so that windows are read and published while they fill. */
function chunks(portion: readonly Delivery[]): (readonly Delivery[])[] {
  const size = Math.max(CHUNK.min, Math.ceil(portion.length / CHUNK.perPortion))
  const starts = Array.from({ length: Math.ceil(portion.length / size) }, (_, n) => n * size)
  return starts.map((start) => portion.slice(start, start + size))
}

async function counted(space: BenchSpace, { ended }: ChildProgram): Promise<void> {
  const tooEarly = ended.then((): never => {
    throw new Failure('unavailable', 'the pipeline ended by itself')
  })
  await Promise.race([countedByPipeline(space), tooEarly])
}

/** Ends of the partitions of the telemetry topic. */
async function logEnds({ brokers, topic }: BenchSpace): Promise<ReadonlyMap<number, number>> {
  const ranges = await withLogAdmin(kafkaLog(brokers), (admin) => admin.offsetRange(topic))
  return new Map([...ranges].map(([partition, { end }]) => [partition, end]))
}

/** Of a role's message that it is ready. */
function adminUrlOf(ready: unknown): string {
  if (typeof ready === 'object' && ready !== null && 'addresses' in ready) {
    const { addresses } = ready
    if (typeof addresses === 'object' && addresses !== null && 'admin' in addresses) {
      return String(addresses.admin)
    }
  }
  throw new Failure('unavailable', 'the pipeline does not say where its metrics are')
}

async function countersAt(adminUrl: string): Promise<Counted> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  const total = (name: string): number => {
    const lines = [
      ...text.matchAll(new RegExp(`^weir_pipeline_${name}_total(?:\\{.*\\})? (.+)$`, 'gm')),
    ]
    if (lines.length === 0) throw new Failure('internal', `the pipeline has no counter ${name}`)
    return sumOf(lines.map(([, value]) => Number(value)))
  }
  return {
    records: total('records'),
    samples: total('samples'),
    lateSamples: total('late_samples'),
    duplicateSamples: total('duplicate_samples'),
    refusedSamples: total('refused_samples'),
    corrections: total('corrections'),
  }
}

const sumOf = (values: Iterable<number>): number => [...values].reduce((sum, each) => sum + each, 0)
