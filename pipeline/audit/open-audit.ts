/** Opens what an audit reads: the log, the tables, and the schemas of the records. */
import { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { Clock } from '../../platform/clock.ts'
import type { OptionValues } from '../../platform/config/options.ts'
import { createKafkaLog } from '../../platform/kafka/kafkajs-log.ts'
import { fetchSchema, startWithSchemas } from '../../platform/kafka/schema-registry.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import { subjectSchemas } from '../../schemas/registered-schemas.ts'
import { TelemetryFrames } from '../../schemas/telemetry-frames.ts'
import { TopicCodecs } from '../../schemas/topic-codecs.ts'
import { TELEMETRY } from '../../schemas/topics.ts'
import { systemTimers } from '../timers.ts'
import type { SOURCE_OPTIONS } from './audit-options.ts'
import type { AuditPorts } from './audit-run.ts'

/** A scan of days of samples by a server that has better things to do. */
const REQUEST_TIMEOUT_MS = 660_000

type OpenAudit = Readonly<{
  ports: Omit<AuditPorts, 'signal'>
  clickhouse: Clickhouse
  close(): Promise<void>
}>

export async function openAudit(
  options: OptionValues<typeof SOURCE_OPTIONS>,
  around: Readonly<{ logger: Logger; metrics: Metrics; clock: Clock }>,
): Promise<OpenAudit> {
  const { kafkaBrokers: brokers, topicPrefix, registryUrl, schemaIdsFile: file } = options
  const log = createKafkaLog({ brokers, clientId: 'weir-audit', ...around })
  const admin = log.admin()
  const clickhouse = new Clickhouse({
    url: options.clickhouseUrl,
    database: options.clickhouseDatabase,
    user: options.clickhouseUser,
    password: options.clickhousePassword,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    connectionsMax: 2,
  })
  const schemas = subjectSchemas(topicPrefix)
  const { ids } = await startWithSchemas({ registryUrl, file, schemas, logger: around.logger })
  const fetch = (id: number) => fetchSchema(registryUrl, id)
  const codecs = new TopicCodecs({ topicPrefix, ids, fetchSchema: fetch })
  const decoder = codecs.decoder(TELEMETRY)
  const frames = new TelemetryFrames(decoder, codecs.encoder(TELEMETRY))
  return {
    ports: { log, admin, clickhouse, frames, decoder, timers: systemTimers },
    clickhouse,
    async close() {
      await admin.close()
      await clickhouse.close()
    },
  }
}
