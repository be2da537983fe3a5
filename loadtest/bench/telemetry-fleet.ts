/**
 * Devices that write telemetry straight to the topic, as a connector would, and know what must come
 * of it. Values are small integers, so that their sums are exact in whatever order they are added;
 * each device speaks in order of time.
 */
import { systemClock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { type AvroEncoder, createAvroEncoder } from '../../schemas/avro-codec.ts'
import { TELEMETRY_SCHEMA, type Telemetry } from '../../schemas/telemetry.ts'
import { deviceKey, partitionOf, subjectOf } from '../../schemas/topics.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import type { BenchSpace } from './bench-space.ts'

/** What the tables must hold of everything that was sent. */
export type Preloaded = Readonly<{
  records: number
  samples: number
  sum: number
  /** Windows that have a sample, over all series, by resolution in ms. */
  windows: ReadonlyMap<number, number>
}>

export type TelemetryFleet = Readonly<{
  /** One record of this device: two samples. Resolves when Kafka has it. */
  send(index: number, atMs: number): Promise<void>
  hasRoom(): boolean
  room(): Promise<void>
  sent(): Preloaded
  /** Resolves when everything sent is acknowledged. */
  acknowledged(): Promise<void>
  close(): Promise<void>
}>

export const RESOLUTIONS_MS = [10_000, 60_000] as const
export const TENANT = 'bench'
export const METRICS = ['temperature', 'humidity'] as const
const QUEUED_BYTES_MAX = 32 * 1024 * 1024
const CLOSE_MS = 60_000

export const deviceName = (index: number): string => `bench-${index}`
export const deviceIndex = (name: string): number => Number(name.slice('bench-'.length))

export type Backlog = Readonly<{
  devices: number
  /** Records of each device. */
  rounds: number
  /** Between two records of one device. */
  intervalMs: number
  progress?: (written: number) => void
}>

/** One record of every device, again and again, over a stretch of time that ends now. */
export async function writeBacklog(fleet: TelemetryFleet, backlog: Backlog): Promise<void> {
  const { devices, rounds, intervalMs, progress } = backlog
  const firstMs = systemClock.nowMs() - rounds * intervalMs
  for (let n = 0; n < rounds * devices; n++) {
    const index = n % devices
    // Devices are spread over the interval, neighbours far apart.
    const phaseMs = (((index * 7) % 1000) * intervalMs) / 1000
    if (!fleet.hasRoom()) await fleet.room()
    void fleet.send(index, Math.floor(firstMs + Math.floor(n / devices) * intervalMs + phaseMs))
    if (n % 50_000 === 0) progress?.(n)
  }
  await fleet.acknowledged()
}

export async function openFleet(space: BenchSpace, devices: number): Promise<TelemetryFleet> {
  const { brokers, topic } = space
  const encoder = await telemetryEncoder(space)
  const log = kafkaLog(brokers)
  const partitions = await withLogAdmin(log, (admin) => admin.partitionCount(topic))
  const writer = log.writer({ name: 'fleet', queuedBytesMax: QUEUED_BYTES_MAX, lingerMs: 5 })
  await writer.start()
  const tally = new Tally(devices)
  const places = Array.from({ length: devices }, (_, index) => {
    const key = Buffer.from(deviceKey(TENANT, deviceName(index)))
    return { key, partition: partitionOf(key, partitions) }
  })
  const nowhere = { key: Buffer.alloc(0), partition: 0 }
  const pending = new Set<Promise<void>>()
  return {
    hasRoom: () => writer.hasRoom(),
    room: () => writer.room(),
    sent: () => tally.sent(),
    send(index, atMs) {
      const { key, partition } = places[index] ?? nowhere
      const values = tally.take(index, atMs)
      const value = encoder.encode(telemetry(deviceName(index), atMs, values))
      const done = writer.append(topic, partition, { key, value })
      // Records of one request share one promise: the set stays small.
      if (!pending.has(done)) {
        pending.add(done)
        void done.then(() => pending.delete(done))
      }
      return done
    },
    acknowledged: async () => void (await Promise.all(pending)),
    async close() {
      await Promise.all(pending)
      await writer.drain(CLOSE_MS)
    },
  }
}

/** Counts what is sent: a window is new where a device's time has entered another one. */
class Tally {
  readonly #lastStarts: readonly Float64Array[]
  readonly #windows = RESOLUTIONS_MS.map(() => 0)
  #records = 0
  #sum = 0

  constructor(devices: number) {
    this.#lastStarts = RESOLUTIONS_MS.map(() => new Float64Array(devices).fill(-1))
  }

  /** The values of the next record. */
  take(index: number, atMs: number): readonly number[] {
    const values = METRICS.map((_, m) => (this.#records * 7 + m) % 1000)
    for (const value of values) this.#sum += value
    this.#records += 1
    for (const [r, resolutionMs] of RESOLUTIONS_MS.entries()) {
      const start = Math.floor(atMs / resolutionMs)
      const last = this.#lastStarts[r]
      if (last === undefined || last[index] === start) continue
      last[index] = start
      this.#windows[r] = (this.#windows[r] ?? 0) + METRICS.length
    }
    return values
  }

  sent(): Preloaded {
    const windows = new Map<number, number>()
    for (const [r, resolutionMs] of RESOLUTIONS_MS.entries()) {
      windows.set(resolutionMs, this.#windows[r] ?? 0)
    }
    const samples = this.#records * METRICS.length
    return { records: this.#records, samples, sum: this.#sum, windows }
  }
}

function telemetry(device: string, atMs: number, values: readonly number[]): Telemetry {
  return {
    tenant: TENANT,
    device,
    recvTs: atMs,
    protocol: 'mqtt',
    stamped: true,
    numbers: METRICS.map((metric, m) => ({ metric, t0: atMs, dt: [0], v: [values[m] ?? 0] })),
    booleans: [],
    strings: [],
  }
}

/** For the records of a space's telemetry topic. */
export async function telemetryEncoder({
  registryUrl,
  topic,
}: BenchSpace): Promise<AvroEncoder<Telemetry>> {
  return createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, await schemaIdOf(registryUrl, topic))
}

/** Of the newest schema of a topic's values. */
export async function schemaIdOf(registryUrl: string, topic: string): Promise<number> {
  const response = await fetch(`${registryUrl}/subjects/${subjectOf(topic)}/versions/latest`)
  const body: unknown = await response.json()
  if (typeof body === 'object' && body !== null && 'id' in body && typeof body.id === 'number') {
    return body.id
  }
  throw new Failure('unavailable', `the registry has no schema for ${subjectOf(topic)}`)
}
