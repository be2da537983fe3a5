/**
 * Fills a telemetry topic before the pipeline may read it: one record per device and second, three
 * metrics each, in order of time and ending now. Values are small integers, so that their sums are
 * exact in whatever order they are added.
 */
import { systemClock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { createAvroEncoder } from '../../schemas/avro-codec.ts'
import { TELEMETRY_SCHEMA, type Telemetry } from '../../schemas/telemetry.ts'
import { TELEMETRY, deviceKey, partitionOf, subjectOf } from '../../schemas/topics.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'

export type Preload = Readonly<{
  brokers: readonly string[]
  registryUrl: string
  topicPrefix: string
  records: number
  devices: number
}>
export type Preloaded = Readonly<{ records: number; samples: number; sum: number }>

const METRICS = ['temperature', 'humidity', 'pressure'] as const
const INTERVAL_MS = 1000
const QUEUED_BYTES_MAX = 32 * 1024 * 1024
const TENANT = 'bench'

export async function preload(options: Preload): Promise<Preloaded> {
  const { brokers, topicPrefix, records, devices } = options
  const topic = `${topicPrefix}${TELEMETRY.name}`
  const schemaId = await schemaIdOf(options.registryUrl, subjectOf(topic))
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, schemaId)
  const log = kafkaLog(brokers)
  const partitions = await withLogAdmin(log, (admin) => admin.partitionCount(topic))
  const writer = log.writer({ name: 'preload', queuedBytesMax: QUEUED_BYTES_MAX, lingerMs: 5 })
  await writer.start()
  const keys = Array.from({ length: devices }, (_, index) =>
    Buffer.from(deviceKey(TENANT, `bench-${index}`)),
  )
  const rounds = Math.ceil(records / devices)
  const firstMs = systemClock.nowMs() - rounds * INTERVAL_MS
  let sum = 0
  const pending = new Set<Promise<void>>()
  for (let n = 0; n < rounds * devices; n++) {
    const index = n % devices
    const key = keys[index] ?? Buffer.alloc(0)
    const atMs = firstMs + Math.floor(n / devices) * INTERVAL_MS + (index % 900)
    const record = telemetry(index, atMs, n)
    sum += record.numbers.reduce((total, { v }) => total + (v[0] ?? 0), 0)
    if (!writer.hasRoom()) await writer.room()
    const value = encoder.encode(record)
    const done = writer.append(topic, partitionOf(key, partitions), { key, value })
    // Records of one request share one promise: the set stays small.
    if (!pending.has(done)) {
      pending.add(done)
      void done.finally(() => pending.delete(done))
    }
  }
  await Promise.all(pending)
  await writer.drain(60_000)
  const written = rounds * devices
  return { records: written, samples: written * METRICS.length, sum }
}

function telemetry(index: number, atMs: number, n: number): Telemetry {
  return {
    tenant: TENANT,
    device: `bench-${index}`,
    recvTs: atMs,
    protocol: 'mqtt',
    stamped: true,
    numbers: METRICS.map((metric, m) => ({ metric, t0: atMs, dt: [0], v: [(n * 7 + m) % 1000] })),
    booleans: [],
    strings: [],
  }
}

async function schemaIdOf(registryUrl: string, subject: string): Promise<number> {
  const response = await fetch(`${registryUrl}/subjects/${subject}/versions/latest`)
  const body: unknown = await response.json()
  if (typeof body === 'object' && body !== null && 'id' in body && typeof body.id === 'number') {
    return body.id
  }
  throw new Failure('unavailable', `the registry has no schema for ${subject}`)
}
