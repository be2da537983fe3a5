/** The pipeline as it is wired, on a log and tables in memory, for tests of what may befall it. */
import { systemClock } from '../../platform/clock.ts'
import type { Failure } from '../../platform/failure.ts'
import type { Checkpoint, Log } from '../../platform/kafka/log.ts'
import { MemoryLogServer } from '../../platform/kafka/testing/memory-log-server.ts'
import { createMemoryLog } from '../../platform/kafka/testing/memory-log.ts'
import { createLogger } from '../../platform/observe/json-logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import { createAvroDecoder, createAvroEncoder, type SchemaFetch } from '../../schemas/avro-codec.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../../schemas/telemetry.ts'
import { topicSpecs } from '../../schemas/topic-specs.ts'
import { WindowUpdateWriter } from '../../schemas/window-update-writer.ts'
import { composeRollup } from '../rollup-composition.ts'
import type { RollupOptions } from '../rollup-service.ts'
import { aroundEach, type RollupSink } from '../sinks/rollup-sink.ts'
import { systemTimers } from '../timers.ts'
import { parseCheckpoint } from '../window/checkpoint.ts'
import { seriesIdOf } from '../window/series-id.ts'
import { emptyRecord } from './fold-log.ts'
import { MemorySink } from './memory-sink.ts'

const TOPIC = 'telemetry.v1'
const OPTIONS: RollupOptions = {
  topicPrefix: '',
  flushIntervalMs: 10,
  flushBytes: 1 << 20,
  flushQueuedBytesMax: 2 << 20,
  latenessMs: 15_000,
  rawRetentionDays: 400,
  logRetentionDays: 7,
  tickIntervalMs: 3_600_000,
  liveIntervalMs: 10,
  liveQueuedBytesMax: 1 << 20,
  idleSeriesMax: 1_000,
}
export const SERIES = {
  tenant: 'acme',
  id: seriesIdOf({ device: 'd0', metric: 'm', kind: 'number' }, ''),
}
const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1)
/** Of a writer whom the registry must be asked about. */
export const FOREIGN_SCHEMA_ID = 7

/** What a process of the world has of its own, where it is not what all have. */
export type Outside = Readonly<{
  sink?: RollupSink
  options?: Partial<RollupOptions>
  log?: (log: Log) => Log
  fetchSchema?: SchemaFetch
  drainMs?: number
}>

/** A pipeline process, as its composition root wires it. */
async function startProcess(server: MemoryLogServer, sink: RollupSink, outside: Outside) {
  const log = createMemoryLog({ server, clock: systemClock })
  const metrics = new Metrics({ role: 'test', processMetrics: false })
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const services = await composeRollup({
    log: outside.log?.(log) ?? log,
    sink: outside.sink ?? sink,
    codecs: {
      decoder: createAvroDecoder<Telemetry>({
        schema: TELEMETRY_SCHEMA,
        writers: new Map([[1, TELEMETRY_SCHEMA]]),
        fetchSchema: outside.fetchSchema ?? (async () => undefined),
      }),
      telemetry: encoder,
      windowUpdates: new WindowUpdateWriter(2),
    },
    options: { ...OPTIONS, ...outside.options },
    version: 'test',
    clock: systemClock,
    timers: systemTimers,
    logger: createLogger({ level: 'info', format: 'json', clock: systemClock, write }),
    metrics,
  })
  for (const service of services) await service.start()
  const failure = Promise.race(services.map((service) => service.failure))
  const stop = async (): Promise<void> => {
    for (const service of services.toReversed()) await service.drain(outside.drainMs ?? 1_000)
  }
  /** The value of a metric's first line whose labels are these, as the scrape shows them. */
  const metric = async (name: string, labels = ''): Promise<number> => {
    const { body } = await metrics.expose()
    return Number(new RegExp(`^${name}\\{${labels}.*\\} (.+)$`, 'm').exec(body)?.[1])
  }
  return { failure, stop, metric, lines }
}

/** A log, its tables, and any number of pipeline processes. Records come to partition 0. */
export function rollupWorld(partitions = 1) {
  const server = new MemoryLogServer({ clock: systemClock })
  for (const spec of topicSpecs('', partitions, 1)) server.createTopic(spec)
  const partition = server.partition(TOPIC, 0)
  const group = server.group('rollup')
  const sink = new MemorySink()

  /** Appends one sample as a device's record; its value is its offset. */
  function push(tsMs: number, appendMs = tsMs, schemaId = 1): void {
    const record = emptyRecord('d0', appendMs)
    record.numbers.push({ metric: 'm', t0: tsMs, dt: [0], v: [partition.end] })
    const value = Buffer.from(encoder.encode(record))
    value.writeUInt32BE(schemaId, 1)
    partition.push({ timestampMs: appendMs, key: Buffer.from('acme/d0'), value, headers: {} })
  }

  const start = (outside: Outside = {}) => startProcess(server, sink, outside)

  const committed = (): Checkpoint | undefined => group.committed(TOPIC).get(0)
  const position = (): number => {
    const at = committed()
    return at === undefined ? -1 : (parseCheckpoint(at.offset, at.metadata)?.position ?? -1)
  }
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  const settled = (): Promise<void> => until(() => position() === partition.end)
  const commit = (checkpoint: Checkpoint, partition = 0): void =>
    group.commit({ topic: TOPIC, partition }, checkpoint)
  const minute = (tsMs: number) => sink.rollup(SERIES, 60_000, tsMs - (tsMs % 60_000))
  const topics = server
  return {
    partition,
    sink,
    push,
    start,
    committed,
    commit,
    position,
    until,
    settled,
    minute,
    topics,
  }
}

/** A sink whose next calls fail as long as `down` says so. */
export function unreliable(sink: RollupSink, down: () => Failure | undefined): RollupSink {
  return aroundEach(sink, async (call) => {
    const failure = down()
    if (failure !== undefined) throw failure
    return call()
  })
}

/** The start of the minute before last: a round place for windows. */
export const BASE_MS = Math.floor(systemClock.nowMs() / 60_000 - 2) * 60_000
