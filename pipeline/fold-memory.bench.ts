/**
 * What the fold keeps for a series, for an open window of it, and for a sample in one: encoded
 * records go in, garbage is collected, and what is left is counted. Rows that a flush would take
 * are taken. Rows on their way to ClickHouse, Kafka's buffers and Node itself are not in these
 * figures: `bench memory` shows all of it as resident memory.
 *
 *   node --expose-gc fold-memory.bench.js [series]        ends with one JSON line
 */
import { createAvroDecoder, createAvroEncoder } from '../schemas/avro-codec.ts'
import { DAY_MS, TELEMETRY_SCHEMA, type Telemetry } from '../schemas/telemetry.ts'
import { TelemetryFrames } from '../schemas/telemetry-frames.ts'
import { freshCheckpoint } from './window/checkpoint.ts'
import { PartitionFold } from './window/partition-fold.ts'
import { RESOLUTIONS_MS } from './window/tumbling-windows.ts'
import { FOLD_EPOCH } from './window/window-version.ts'

const METRICS = ['temperature', 'humidity']
/** On a boundary of both windows. */
const START_MS = 1_700_000_040_000
const SECOND_MS = 1000
const LATENESS_MS = 15_000
/** Each opens another window of 10 s, and adds a sample to it and to the minute's. */
const OPENING_SECONDS = [10, 20, 30, 40, 50]
/**
 * After so many seconds with one sample each the most is open that ever is, here and in any later
 * minute: of each series three windows of 10 s with 25 samples, two of a minute with 75.
 */
const SECONDS = 75
const OPEN_THEN = 5
const HELD_THEN = 100
const SNAPSHOT_EVERY = 20_000

const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1)
const writers = new Map([[1, TELEMETRY_SCHEMA]])
const fetchSchema = async () => undefined
const decoder = createAvroDecoder<Telemetry>({ schema: TELEMETRY_SCHEMA, writers, fetchSchema })
const frames = new TelemetryFrames(decoder, encoder)

class FedFold {
  readonly fold: PartitionFold
  readonly #devices: number
  #offset = 0

  constructor(devices: number, latenessMs = LATENESS_MS) {
    const idleSeriesMax = devices * METRICS.length
    this.#devices = devices
    this.fold = new PartitionFold(
      {
        ...{ partition: 0, partitions: 1, idleSeriesMax, foldEpoch: FOLD_EPOCH },
        ...{ latenessMs, acceptedAgeMs: DAY_MS },
      },
      freshCheckpoint(0),
    )
  }

  /** One record of every device, `second` seconds after the start. */
  feed(second: number): void {
    const atMs = START_MS + second * SECOND_MS
    for (let device = 0; device < this.#devices; device += 1) {
      const fault = frames.read(encoder.encode(recordOf(device, atMs)))
      if (fault !== undefined) throw new Error(fault.kind)
      this.fold.accept(frames.telemetry, this.#offset, atMs)
      this.#offset += 1
      if (this.#offset % SNAPSHOT_EVERY === 0) this.flush()
    }
    this.flush()
  }

  flush(): void {
    this.fold.takeUnpublished(true)
    this.fold.snapshot()
  }
}

function recordOf(device: number, atMs: number): Telemetry {
  return {
    tenant: 'bench',
    device: `bench-${device}`,
    recvTs: atMs,
    protocol: 'mqtt',
    stamped: true,
    numbers: METRICS.map((metric, m) => ({
      ...{ metric, t0: atMs, dt: [0] },
      v: [(device * 7 + m) % 1000],
    })),
    booleans: [],
    strings: [],
  }
}

/** Of what is reachable, on and off the heap. */
function bytesInUse(): number {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run it with --expose-gc')
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Three sums, from which three prices follow: of a series, a window and a sample. */
function measure(seriesWanted: number) {
  const devices = Math.ceil(seriesWanted / METRICS.length)
  const series = devices * METRICS.length
  // Code is compiled and the codec's slab is made before anything is counted.
  new FedFold(100).feed(0)
  const { first, opening } = sparse(devices, series)
  const full = crowded(devices, series)
  // first = series + 2 (window + sample); opening = window + 2 samples;
  // full = series + OPEN_THEN windows + HELD_THEN samples
  const unitSamples = HELD_THEN + 2 - 2 * OPEN_THEN
  const sampleBytes = (full - first - (OPEN_THEN - 2) * opening) / unitSamples
  const windowBytes = opening - 2 * sampleBytes
  const seriesBytes = first - 2 * (windowBytes + sampleBytes)
  const fullest = { windows: OPEN_THEN, samples: HELD_THEN }
  return { series, seriesBytes, windowBytes, sampleBytes, fullest }
}

/** Bytes of each series with two windows open, and of each further window. */
function sparse(devices: number, series: number): Readonly<{ first: number; opening: number }> {
  const before = bytesInUse()
  const fed = new FedFold(devices, DAY_MS)
  fed.feed(0)
  expectOpen(fed, series * RESOLUTIONS_MS.length)
  const first = (bytesInUse() - before) / series
  for (const second of OPENING_SECONDS) fed.feed(second)
  const opened = series * OPENING_SECONDS.length
  expectOpen(fed, series * RESOLUTIONS_MS.length + opened)
  return { first, opening: (bytesInUse() - before - first * series) / opened }
}

/** Bytes of each series when all is as full as it gets. */
function crowded(devices: number, series: number): number {
  const before = bytesInUse()
  const fed = new FedFold(devices)
  for (let second = 0; second < SECONDS; second += 1) fed.feed(second)
  expectOpen(fed, series * OPEN_THEN)
  return (bytesInUse() - before) / series
}

function expectOpen({ fold }: FedFold, windows: number): void {
  if (fold.openWindowCount === windows) return
  throw new Error(`${fold.openWindowCount} windows are open instead of ${windows}`)
}

process.stdout.write(`${JSON.stringify(measure(Number(process.argv[2] ?? 100_000)))}\n`)
