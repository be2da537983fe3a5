/**
 * A pipeline whose hours pass when a test says so: its log is in memory, with a clock of the
 * test's own, its tables are on the real ClickHouse.
 */
import { migrateClickhouse } from '../../../migrations/migrate-clickhouse.ts'
import { Clickhouse, quoted } from '../../../platform/clickhouse/clickhouse.ts'
import { type Clock, systemClock } from '../../../platform/clock.ts'
import { readOptions } from '../../../platform/config/read-options.ts'
import { createMemoryLog } from '../../../platform/kafka/testing/memory-log.ts'
import { MemoryLogServer } from '../../../platform/kafka/testing/memory-log-server.ts'
import type { Service } from '../../../platform/lifecycle/service.ts'
import type { Logger } from '../../../platform/observe/logger.ts'
import { Metrics } from '../../../platform/observe/metrics.ts'
import { acceptedAgeMs, type Telemetry } from '../../../schemas/telemetry.ts'
import { TelemetryFrames } from '../../../schemas/telemetry-frames.ts'
import { TopicCodecs } from '../../../schemas/topic-codecs.ts'
import { topicSpecs } from '../../../schemas/topic-specs.ts'
import { deviceKey, partitionOf, ROLLUPS, TELEMETRY } from '../../../schemas/topics.ts'
import { testStack } from '../../../test/stack.ts'
import { PIPELINE_OPTIONS } from '../../pipeline-options.ts'
import { composeRollup } from '../../rollup-composition.ts'
import { clickhouseSink } from '../../sinks/clickhouse-sink.ts'
import { readSeriesSalt } from '../../sinks/series-salt.ts'
import { systemTimers } from '../../timers.ts'
import { Auditor } from '../auditor.ts'
import { HOUR_MS } from '../hour-tally.ts'
import { progressOf } from '../log/log-cut.ts'
import { SHARES } from '../windows/series-sample.ts'

const PARTITIONS = 2
const POLL_MS = 10
const quiet: Logger = {
  ...{ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  with: () => quiet,
}

export async function hourlyWorld(startMs: number): Promise<HourlyWorld> {
  const stack = await testStack()
  const database = `${stack.namespace}audit`
  const at = { url: stack.clickhouse.url, database, user: 'default', password: '' }
  await migrateClickhouse(at)
  return new HourlyWorld(new Clickhouse(at), startMs)
}

export class HourlyWorld {
  readonly clickhouse: Clickhouse
  readonly metrics = new Metrics({ role: 'auditor', processMetrics: false })
  nowMs: number
  readonly #clock: Clock = { nowMs: () => this.nowMs, monotonicMs: systemClock.monotonicMs }
  readonly #codecs = new TopicCodecs({
    topicPrefix: '',
    ids: { 'telemetry.v1-value': 1, 'rollups.v1-value': 2 },
  })
  readonly #server = new MemoryLogServer({ clock: this.#clock })
  readonly #log = createMemoryLog({ server: this.#server, clock: this.#clock })
  readonly #encoder = this.#codecs.encoder(TELEMETRY)
  readonly #writer = this.#log.writer({ name: 'test', queuedBytesMax: 1 << 24, lingerMs: 0 })
  #services: readonly Service[] = []

  constructor(clickhouse: Clickhouse, startMs: number) {
    this.clickhouse = clickhouse
    this.nowMs = startMs
    for (const spec of topicSpecs('', PARTITIONS, 1)) this.#server.createTopic(spec)
  }

  async startPipeline(): Promise<void> {
    const argv = ['--flush-interval-ms', '20', '--tick-interval-ms', '100']
    const read = readOptions(PIPELINE_OPTIONS, { argv, env: {} })
    if (read.kind === 'problems') throw new Error(read.problems.join('\n'))
    this.#services = await composeRollup({
      log: this.#log,
      sink: clickhouseSink(this.clickhouse),
      seriesSalt: () => readSeriesSalt(this.clickhouse),
      codecs: {
        decoder: this.#codecs.decoder(TELEMETRY),
        telemetry: this.#encoder,
        windowUpdates: this.#codecs.windowUpdates(ROLLUPS),
      },
      options: read.values,
      ...{ version: '0', clock: this.#clock, timers: systemTimers, logger: quiet },
      metrics: new Metrics({ role: 'pipeline', processMetrics: false }),
    })
    for (const service of this.#services) await service.start()
  }

  async stopPipeline(): Promise<void> {
    for (const service of this.#services.toReversed()) await service.drain(5_000)
    this.#services = []
  }

  /** Share of all series, so that every row is checked. */
  auditor(hoursMax: number): Auditor {
    const decoder = this.#codecs.decoder(TELEMETRY)
    const ports = {
      ...{ log: this.#log, admin: this.#log.admin(), clickhouse: this.clickhouse, decoder },
      ...{ frames: new TelemetryFrames(decoder, this.#encoder), timers: systemTimers },
    }
    return new Auditor(
      {
        ...{ ports, clickhouse: this.clickhouse, clock: this.#clock, timers: systemTimers },
        ...{ logger: quiet, metrics: this.metrics },
      },
      {
        ...{ topicPrefix: '', hoursMax, delayMs: 60_000, logRetentionMs: 4 * HOUR_MS },
        acceptedAgeMs: acceptedAgeMs({ rawRetentionDays: 400, logRetentionDays: 7 }),
        ...{ share: SHARES, seriesMin: 0, sliceSamples: 50 },
      },
    )
  }

  async send(record: Telemetry): Promise<void> {
    const key = Buffer.from(deviceKey(record.tenant, record.device))
    const value = this.#encoder.encode(record)
    await this.#writer.append(TELEMETRY.name, partitionOf(key, PARTITIONS), { key, value })
  }

  /** Lets time pass, until ticks have told the pipeline and it has committed that. */
  async passTo(nowMs: number): Promise<void> {
    this.nowMs = nowMs
    const admin = this.#log.admin()
    for (;;) {
      const committed = await admin.committed('rollup', TELEMETRY.name)
      const closed = Array.from({ length: PARTITIONS }, (_, p) => progressOf(committed.get(p)))
      if (closed.every(({ closedToMs }) => closedToMs >= nowMs - 60_000)) return
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  /** What retention does: in each partition the log begins with the second record since then. */
  async truncate(sinceMs: number): Promise<void> {
    const admin = this.#log.admin()
    const first = await admin.offsetsAt(TELEMETRY.name, sinceMs)
    const second = [...first].map(([partition, offset]) => [partition, offset + 1] as const)
    await admin.deleteRecords(TELEMETRY.name, new Map(second))
  }

  async close(): Promise<void> {
    await this.stopPipeline()
    await this.clickhouse.command(`DROP DATABASE ${quoted(this.clickhouse.database)}`)
    await this.clickhouse.close()
  }
}
