/** The live feed for tests: real Kafka topics of their own, and the real server reading them. */
import { setTimeout as pause } from 'node:timers/promises'
import type { HttpServer } from '../../platform/http/uws-server.ts'
import { createKafkaLog } from '../../platform/kafka/kafkajs-log.ts'
import type { Log, LogWriter } from '../../platform/kafka/log.ts'
import { ensureSchemas } from '../../platform/kafka/schema-registry.ts'
import { systemClock } from '../../platform/clock.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import { subjectSchemas } from '../../schemas/registered-schemas.ts'
import { DAY_MS, type Telemetry } from '../../schemas/telemetry.ts'
import { TopicCodecs } from '../../schemas/topic-codecs.ts'
import { topicSpecs } from '../../schemas/topic-specs.ts'
import { deviceKey, partitionOf, ROLLUPS, TELEMETRY } from '../../schemas/topics.ts'
import type { Window, WindowUpdate } from '../../schemas/window-update.ts'
import type { ApiParts } from '../api-parts.ts'
import { LIMITS } from '../limits.ts'
import { HistoryLoader } from '../live/history-loader.ts'
import { LiveEndpoint } from '../live/live-endpoint.ts'
import { FLOW_CHECK_MS, LiveFeed } from '../live/live-feed.ts'
import { LiveFlow } from '../live/live-flow.ts'
import { LiveHub } from '../live/live-hub.ts'
import { RecentWindows } from '../live/recent-windows.ts'
import { type ApiDatabases, silentLogger, startServer } from './api-fixture.ts'

const PARTITIONS = 3
/** Nobody ticks here: a test is not to be told of that unless it asks. */
const SILENCE_MS = 3_600_000

type LiveAddresses = Readonly<{
  kafka: Readonly<{ brokers: readonly string[] }>
  registry: Readonly<{ url: string }>
  namespace: string
}>

export type Said = Readonly<{ device: string; at: number; value: number }>

export type LiveApi = Readonly<{
  server: HttpServer
  feed: LiveFeed
  /** Its own clock may be played by a test: nothing comes here unless the test says it. */
  flow: LiveFlow
  metrics: Metrics
  /** Appends one number of one device, by default of tenant acme, received now; `more` overrides parts of the record. */
  say(said: Said, more?: Partial<Telemetry>): Promise<void>
  record(telemetry: Telemetry): Promise<void>
  window(tenant: string, device: string, window: Partial<Window>): Promise<void>
  bytes(topic: string, value: Buffer): Promise<void>
  close(): Promise<void>
}>

export async function openLive(
  addresses: LiveAddresses,
  databases: ApiDatabases,
  parts: ApiParts = databases.parts,
): Promise<LiveApi> {
  const { namespace } = addresses
  const metrics = new Metrics({ role: 'api', processMetrics: false })
  const { log, codecs } = await openTopics(addresses, metrics)
  const writer = log.writer({ name: 'test', queuedBytesMax: 64 * 1024 * 1024, lingerMs: 0 })
  await writer.start()
  const windows = new RecentWindows(1_000)
  const snapshotItemsMax = LIMITS.liveSnapshotItemsMax
  const hub = new LiveHub({
    latest: parts.latest,
    windows,
    metrics,
    clock: systemClock,
    snapshotItemsMax,
  })
  const flow = new LiveFlow({ silenceMs: SILENCE_MS, checkEveryMs: FLOW_CHECK_MS })
  const feed = openFeed({ log, namespace, codecs, hub, flow, metrics })
  const endpoint = new LiveEndpoint({
    hub,
    flow,
    history: new HistoryLoader({ ...parts, logger: silentLogger }),
    authenticator: databases.authenticator,
    metrics,
    logger: silentLogger,
    allowedOrigins: ['https://friend.example'],
  })
  await feed.start()
  while (feed.notReady() !== undefined) await pause(20)
  const onDrain = () => endpoint.drain()
  const server = await startServer({ ...databases, parts }, [endpoint.route()], onDrain)
  const encoders = {
    telemetry: codecs.encoder(TELEMETRY),
    rollups: codecs.encoder(ROLLUPS),
  }
  return { server, feed, flow, metrics, ...speakers(writer, namespace, encoders), close }

  async function close(): Promise<void> {
    await server.drain(1_000)
    await feed.drain(2_000)
    await writer.drain(2_000)
  }
}

async function openTopics(
  { namespace, kafka, registry }: LiveAddresses,
  metrics: Metrics,
): Promise<Readonly<{ log: Log; codecs: TopicCodecs }>> {
  const log = createKafkaLog({
    brokers: kafka.brokers,
    clientId: 'api-test',
    logger: silentLogger,
    metrics,
    clock: systemClock,
  })
  const admin = log.admin()
  await admin.ensureTopics(topicSpecs(namespace, PARTITIONS, 1))
  await admin.close()
  const ids = await ensureSchemas(registry.url, subjectSchemas(namespace))
  return { log, codecs: new TopicCodecs({ topicPrefix: namespace, ids }) }
}

type FeedParts = Readonly<{
  log: Log
  namespace: string
  codecs: TopicCodecs
  hub: LiveHub
  flow: LiveFlow
  metrics: Metrics
}>

function openFeed({ log, namespace, codecs, hub, flow, metrics }: FeedParts): LiveFeed {
  return new LiveFeed({
    log,
    topicPrefix: namespace,
    telemetry: codecs.decoder(TELEMETRY),
    rollups: codecs.decoder(ROLLUPS),
    acceptedAgeMs: 391 * DAY_MS,
    hub,
    flow,
    metrics,
    logger: silentLogger,
    clock: systemClock,
  })
}

type Encoders = Readonly<{
  telemetry: Readonly<{ encode(value: Telemetry): Buffer }>
  rollups: Readonly<{ encode(value: WindowUpdate): Buffer }>
}>

function speakers(
  writer: LogWriter,
  namespace: string,
  encoders: Encoders,
): Pick<LiveApi, 'say' | 'record' | 'window' | 'bytes'> {
  const append = (topic: string, tenant: string, device: string, value: Buffer): Promise<void> => {
    const key = Buffer.from(deviceKey(tenant, device))
    return writer.append(namespace + topic, partitionOf(key, PARTITIONS), { key, value })
  }
  const record = (telemetry: Telemetry): Promise<void> =>
    append(TELEMETRY.name, telemetry.tenant, telemetry.device, encoders.telemetry.encode(telemetry))
  return {
    record,
    say: ({ device, at, value }, more = {}) =>
      record({
        tenant: 'acme',
        device,
        recvTs: systemClock.nowMs(),
        protocol: 'mqtt',
        stamped: true,
        numbers: [{ metric: 'm', t0: at, dt: [0], v: [value] }],
        booleans: [],
        strings: [],
        ...more,
      }),
    window: (tenant, device, window) =>
      append(
        ROLLUPS.name,
        tenant,
        device,
        encoders.rollups.encode({ tenant, device, windows: [{ ...WINDOW, ...window }] }),
      ),
    bytes: (topic, value) => append(topic, 'acme', 'bytes', value),
  }
}

const WINDOW: Window = {
  metric: 'temperature',
  kind: 'number',
  resolutionMs: 10_000,
  start: 0,
  count: 2,
  sum: 3,
  min: 1,
  max: 2,
  first: 1,
  last: 2,
  firstTs: 0,
  lastTs: 1,
  m2: 0,
  integral: 0,
  firstText: '',
  lastText: '',
  final: false,
  correctedAt: 0,
  version: 1,
}
