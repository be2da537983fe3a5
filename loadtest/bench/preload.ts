/**
 * Fills a telemetry topic before the pipeline may read it: one record per device and second, some
 * metrics each, in order of time and ending now. Values are small integers, so that their sums are
 * exact in whatever order they are added.
 */
import { systemClock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { type AvroEncoder, createAvroEncoder } from '../../schemas/avro-codec.ts'
import { TELEMETRY_SCHEMA, type Telemetry } from '../../schemas/telemetry.ts'
import { deviceKey, partitionOf, subjectOf } from '../../schemas/topics.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import type { BenchSpace } from './bench-space.ts'

export type Preload = Readonly<{
  records: number
  devices: number
  metrics?: number
  /** Records a second of one device. */
  ratePerDevice?: number
  progress?: (written: number) => void
}>
export type Preloaded = Readonly<{
  records: number
  samples: number
  sum: number
  /** Windows that have a sample, over all series, by resolution in ms. */
  windows: ReadonlyMap<number, number>
}>

export const RESOLUTIONS_MS = [10_000, 60_000] as const
export const TENANT = 'bench'
const METRICS = ['temperature', 'humidity', 'pressure']
const QUEUED_BYTES_MAX = 32 * 1024 * 1024

export async function preload(space: BenchSpace, options: Preload): Promise<Preloaded> {
  const { records, devices, metrics = 2, ratePerDevice = 1 } = options
  const intervalMs = 1000 / ratePerDevice
  const rounds = Math.ceil(records / devices)
  const fleet = await openFleet(space, devices, METRICS.slice(0, metrics))
  const firstMs = systemClock.nowMs() - rounds * intervalMs
  let sum = 0
  for (let n = 0; n < rounds * devices; n++) {
    const index = n % devices
    const atMs = timeOf(index, Math.floor(n / devices))
    for (let m = 0; m < metrics; m++) sum += valueOf(n, m)
    if (!fleet.hasRoom()) await fleet.room()
    void fleet.send(index, atMs, n)
    if (n % 100_000 === 0) options.progress?.(n)
  }
  await fleet.close()
  const windows = new Map<number, number>(RESOLUTIONS_MS.map((ms) => [ms, windowsOf(ms) * metrics]))
  const written = rounds * devices
  return { records: written, samples: written * metrics, sum, windows }

  function timeOf(index: number, round: number): number {
    return Math.floor(firstMs + round * intervalMs + (((index * 7) % 1000) * intervalMs) / 1000)
  }
  function windowsOf(resolutionMs: number): number {
    let count = 0
    for (let index = 0; index < devices; index++) {
      const [from, to] = [timeOf(index, 0), timeOf(index, rounds - 1)]
      count += Math.floor(to / resolutionMs) - Math.floor(from / resolutionMs) + 1
    }
    return count
  }
}

export type TelemetryFleet = Readonly<{
  /** Value `m` of the record is `valueOf(n, m)`. Resolves when Kafka has it. */
  send(index: number, atMs: number, n: number): Promise<void>
  hasRoom(): boolean
  room(): Promise<void>
  /** Resolves when everything sent is acknowledged. */
  close(): Promise<void>
}>

/** Devices that write to the topic as a connector does, without one. */
export async function openFleet(
  space: BenchSpace,
  devices: number,
  metrics: readonly string[],
): Promise<TelemetryFleet> {
  const { brokers, topic } = space
  const encoder = await telemetryEncoder(space)
  const log = kafkaLog(brokers)
  const partitions = await withLogAdmin(log, (admin) => admin.partitionCount(topic))
  const writer = log.writer({ name: 'fleet', queuedBytesMax: QUEUED_BYTES_MAX, lingerMs: 5 })
  await writer.start()
  const places = Array.from({ length: devices }, (_, index) => {
    const key = Buffer.from(deviceKey(TENANT, deviceName(index)))
    return { key, partition: partitionOf(key, partitions) }
  })
  const nowhere = { key: Buffer.alloc(0), partition: 0 }
  const pending = new Set<Promise<void>>()
  return {
    hasRoom: () => writer.hasRoom(),
    room: () => writer.room(),
    send(index, atMs, n) {
      const { key, partition } = places[index] ?? nowhere
      const value = encoder.encode(telemetry(deviceName(index), atMs, { n, metrics }))
      const done = writer.append(topic, partition, { key, value })
      // Records of one request share one promise: the set stays small.
      if (!pending.has(done)) {
        pending.add(done)
        void done.then(() => pending.delete(done))
      }
      return done
    },
    async close() {
      await Promise.all(pending)
      await writer.drain(60_000)
    },
  }
}

export const deviceName = (index: number): string => `bench-${index}`

/** What metric `m` of record `n` says. */
export const valueOf = (n: number, m: number): number => (n * 7 + m) % 1000

function telemetry(
  device: string,
  atMs: number,
  { n, metrics }: Readonly<{ n: number; metrics: readonly string[] }>,
): Telemetry {
  return {
    tenant: TENANT,
    device,
    recvTs: atMs,
    protocol: 'mqtt',
    stamped: true,
    numbers: metrics.map((metric, m) => ({ metric, t0: atMs, dt: [0], v: [valueOf(n, m)] })),
    booleans: [],
    strings: [],
  }
}

async function telemetryEncoder({
  registryUrl,
  topic,
}: BenchSpace): Promise<AvroEncoder<Telemetry>> {
  const response = await fetch(`${registryUrl}/subjects/${subjectOf(topic)}/versions/latest`)
  const body: unknown = await response.json()
  if (typeof body === 'object' && body !== null && 'id' in body && typeof body.id === 'number') {
    return createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, body.id)
  }
  throw new Failure('unavailable', `the registry has no schema for ${subjectOf(topic)}`)
}
