/**
 * What the fold keeps for an open window of a series, and for a sample in one: encoded records go
 * in, garbage is collected, and what is left is counted. Rows that a flush would take are taken.
 * Names of series, their directory and the windows' own fields are all in the bytes of a window;
 * rows on their way to ClickHouse, Kafka's buffers and Node itself are not: `bench memory` shows
 * those as resident memory.
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

  constructor(devices: number) {
    const idleSeriesMax = devices * METRICS.length
    this.#devices = devices
    this.fold = new PartitionFold(
      {
        ...{ partition: 0, idleSeriesMax, foldEpoch: FOLD_EPOCH },
        ...{ latenessMs: LATENESS_MS, acceptedAgeMs: DAY_MS },
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

/** Windows of one sample and windows of many: two sums, from which two prices follow. */
function measure(seriesWanted: number): Readonly<Record<string, number>> {
  const devices = Math.ceil(seriesWanted / METRICS.length)
  const series = devices * METRICS.length
  // Code is compiled and the codec's slab is made before anything is counted.
  new FedFold(100).feed(0)
  const before = bytesInUse()
  const fed = new FedFold(devices)
  fed.feed(0)
  expectOpen(fed, series * RESOLUTIONS_MS.length)
  const perWindow = (bytesInUse() - before) / fed.fold.openWindowCount
  for (let second = 1; second < SECONDS; second += 1) fed.feed(second)
  expectOpen(fed, series * OPEN_THEN)
  const perSeries = (bytesInUse() - before) / series
  const sampleBytes = (perSeries - OPEN_THEN * perWindow) / (HELD_THEN - OPEN_THEN)
  const openWindows = fed.fold.openWindowCount
  const heldSamples = series * HELD_THEN
  return { series, openWindows, heldSamples, windowBytes: perWindow - sampleBytes, sampleBytes }
}

function expectOpen({ fold }: FedFold, windows: number): void {
  if (fold.openWindowCount === windows) return
  throw new Error(`${fold.openWindowCount} windows are open instead of ${windows}`)
}

process.stdout.write(`${JSON.stringify(measure(Number(process.argv[2] ?? 100_000)))}\n`)
