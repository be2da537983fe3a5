/**
 * How the rollup half of the pipeline is wired: the one place that puts its modules together. The
 * process hands in Kafka and ClickHouse, a test or a simulator its own log, tables and time.
 */
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/kafka/log.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { Metrics } from '../platform/observe/metrics.ts'
import type { AvroDecoder, AvroEncoder } from '../schemas/avro-codec.ts'
import type { Telemetry } from '../schemas/telemetry.ts'
import { DEAD_LETTERS, ROLLUPS, TELEMETRY } from '../schemas/topics.ts'
import type { WindowUpdateEncoder } from '../schemas/window-update-writer.ts'
import { AwaitedService } from './awaited-service.ts'
import { DeadLetterWriter } from './dead-letters/dead-letter-writer.ts'
import { RecordsQuarantined } from './dead-letters/refusal-sink.ts'
import { LivePublisher } from './live-publisher.ts'
import { RenewedService } from './renewed-service.ts'
import {
  type ReadTopic,
  type RollupOptions,
  type RollupPorts,
  RollupService,
} from './rollup-service.ts'
import type { RollupSink } from './sinks/rollup-sink.ts'
import type { Timers } from './timers.ts'

export type RollupCodecs = Readonly<{
  decoder: AvroDecoder<Telemetry>
  telemetry: AvroEncoder<Telemetry>
  windowUpdates: WindowUpdateEncoder
}>

export type RollupParts = Readonly<{
  log: Log
  sink: RollupSink
  /** Asked before anything is folded, until it answers. Absent: ids without a salt. */
  seriesSalt?: () => Promise<string>
  codecs: RollupCodecs
  options: RollupOptions
  /** Of this program, for the dead letters. */
  version: string
  clock: Clock
  timers: Timers
  logger: Logger
  metrics: Metrics
}>

const LETTERS_QUEUED_BYTES_MAX = 16 * 1024 * 1024
const LETTERS_LINGER_MS = 5
const LIVE_LINGER_MS = 2

/** Downstream first, as a composition root starts them. */
export async function composeRollup(parts: RollupParts): Promise<readonly Service[]> {
  const { log, codecs, options } = parts
  const admin = log.admin()
  const topicOf = (name: string): string => options.topicPrefix + name
  const writer = log.writer({
    name: 'pipeline-writer',
    queuedBytesMax: LETTERS_QUEUED_BYTES_MAX,
    lingerMs: LETTERS_LINGER_MS,
  })
  const liveWriter = log.writer({
    name: 'live-writer',
    queuedBytesMax: options.liveQueuedBytesMax,
    lingerMs: LIVE_LINGER_MS,
  })
  const deadLetters = new DeadLetterWriter({
    writer,
    topic: topicOf(DEAD_LETTERS.name),
    partitions: await admin.partitionCount(topicOf(DEAD_LETTERS.name)),
    service: 'pipeline',
    version: parts.version,
    cut: (origin, offset, valueBytes) =>
      parts.logger.error('a record fits into no letter: its letter holds its beginning', {
        ...{ ...origin, offset, valueBytes },
      }),
  })
  const live = new LivePublisher({
    writer: liveWriter,
    topic: topicOf(ROLLUPS.name),
    partitions: await admin.partitionCount(topicOf(ROLLUPS.name)),
    encoder: codecs.windowUpdates,
    published: (windows) => parts.metrics.add('weir_pipeline_live_windows_total', windows),
  })
  const topic = topicOf(TELEMETRY.name)
  const read = { topic, partitions: await admin.partitionCount(topic) }
  await admin.close()
  const writers = { writer, deadLetters, live }
  const { seriesSalt } = parts
  const rollup =
    seriesSalt === undefined
      ? renewedRollup(parts, read, writers)
      : new AwaitedService({
          name: 'rollup',
          ask: seriesSalt,
          make: (salt) =>
            renewedRollup({ ...parts, options: { ...options, seriesSalt: salt } }, read, writers),
          waiting: (error) =>
            parts.logger.warn('nothing is read yet: the tables do not say their salt', {
              error: error.message,
            }),
          timers: parts.timers,
        })
  return [writer, liveWriter, rollup]
}

type Writers = Pick<RollupPorts, 'writer' | 'deadLetters' | 'live'>

const renewedRollup = (parts: RollupParts, read: ReadTopic, writers: Writers): Service =>
  new RenewedService({
    ...{ clock: parts.clock, timers: parts.timers },
    make: () => rollupService(parts, read, writers),
    mayRenew: (error) => error instanceof RecordsQuarantined,
    renewing: (error, delayMs) =>
      parts.logger.error('records are quarantined: partitions start again from their last commit', {
        ...{ error: String(error), delayMs },
      }),
  })

function rollupService(parts: RollupParts, read: ReadTopic, writers: Writers): RollupService {
  const { log, codecs, options } = parts
  const group = `${options.topicPrefix}rollup`
  return new RollupService(
    {
      ...parts,
      ...writers,
      consumer: (handler) => log.consumer({ name: 'rollup', group, topics: [read.topic], handler }),
      admin: log.admin(),
      decoder: codecs.decoder,
      encoder: codecs.telemetry,
    },
    { ...options, ...read },
  )
}
