/** Composition root of the pipeline process: Kafka in, exact rollups in ClickHouse out. */
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { tableTtlDays } from '../platform/clickhouse/table-ttl.ts'
import { Failure } from '../platform/failure.ts'
import { topicConfig } from '../platform/kafka/kafkajs-topic-configs.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import { fetchSchema, startWithSchemas } from '../platform/kafka/schema-registry.ts'
import type { Role, RoleContext } from '../platform/lifecycle/role.ts'
import { packageVersion } from '../platform/package-root.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import { TopicCodecs } from '../schemas/topic-codecs.ts'
import { ROLLUPS, TELEMETRY } from '../schemas/topics.ts'
import { journalFolderOf } from './dead-letters/guard-options.ts'
import { contradictions, PIPELINE_OPTIONS } from './pipeline-options.ts'
import { checkedSink, RetentionCheck } from './retention-check.ts'
import { composeRollup, type RollupCodecs } from './rollup-composition.ts'
import { clickhouseSink } from './sinks/clickhouse-sink.ts'
import { readSeriesSalt } from './sinks/series-salt.ts'
import { systemTimers } from './timers.ts'

type Context = RoleContext<typeof PIPELINE_OPTIONS>

export const pipelineRole: Role<typeof PIPELINE_OPTIONS> = {
  name: 'pipeline',
  summary: 'Folds telemetry into exact rollups and writes ClickHouse.',
  options: PIPELINE_OPTIONS,
  check: contradictions,
  async build(context) {
    const { options, logger, metrics, clock, wills } = context
    const brokers = options.kafkaBrokers
    const parts = { logger, metrics, clock, wills }
    const log = createKafkaLog({ brokers, clientId: 'weir-pipeline', ...parts })
    const clickhouse = new Clickhouse({
      url: options.clickhouseUrl,
      database: options.clickhouseDatabase,
      user: options.clickhouseUser,
      password: options.clickhousePassword,
    })
    const retention = retentionCheck(context, clickhouse)
    const services = await composeRollup({
      log,
      sink: checkedSink(clickhouseSink(clickhouse), retention),
      seriesSalt: () => readSeriesSalt(clickhouse),
      codecs: await codecsOf(context),
      version: packageVersion(),
      timers: systemTimers,
      options: { ...options, journalFolder: journalFolderOf(options) },
      ...{ clock, logger, metrics },
    })
    await retention.mustHold().catch((error: unknown) => {
      if (!(error instanceof Failure) || error.retry === 'never') throw error
      // The first flush waits for the answer.
      logger.warn('retention cannot be checked yet', { error: error.message })
    })
    return { services, addresses: () => ({}) }
  },
}

function retentionCheck({ options, logger, clock }: Context, clickhouse: Clickhouse) {
  const kafka = { brokers: options.kafkaBrokers, clientId: 'weir-pipeline', logger }
  const ports = {
    tableDays: () => tableTtlDays(clickhouse),
    topicConfig: () => topicConfig(kafka, options.topicPrefix + TELEMETRY.name),
    clock,
  }
  return new RetentionCheck(ports, options)
}

async function codecsOf({ options, logger }: Context): Promise<RollupCodecs> {
  const { registryUrl, schemaIdsFile: file, topicPrefix } = options
  const schemas = subjectSchemas(topicPrefix)
  const { ids } = await startWithSchemas({ registryUrl, file, schemas, logger })
  const codecs = new TopicCodecs({
    topicPrefix,
    ids,
    fetchSchema: (id) => fetchSchema(registryUrl, id),
  })
  return {
    decoder: codecs.decoder(TELEMETRY),
    telemetry: codecs.encoder(TELEMETRY),
    windowUpdates: codecs.windowUpdates(ROLLUPS),
  }
}
