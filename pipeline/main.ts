/** Composition root of the pipeline process: Kafka in, exact rollups in ClickHouse out. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { Failure } from '../platform/failure.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import { fetchSchema, type SchemaIds, startWithSchemas } from '../platform/kafka/schema-registry.ts'
import type { Role, RoleContext } from '../platform/lifecycle/role.ts'
import { packageRoot } from '../platform/package-root.ts'
import { createAvroDecoder, createAvroEncoder } from '../schemas/avro-codec.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../schemas/telemetry.ts'
import { ROLLUPS, subjectOf, TELEMETRY } from '../schemas/topics.ts'
import { WINDOW_UPDATE_SCHEMA, type WindowUpdate } from '../schemas/window-update.ts'
import { contradictions, PIPELINE_OPTIONS } from './pipeline-options.ts'
import { composeRollup, type RollupCodecs } from './rollup-composition.ts'
import { clickhouseSink } from './sinks/clickhouse-sink.ts'
import { systemTimers } from './timers.ts'

type Context = RoleContext<typeof PIPELINE_OPTIONS>

export const pipelineRole: Role<typeof PIPELINE_OPTIONS> = {
  name: 'pipeline',
  summary: 'Folds telemetry into exact rollups and writes ClickHouse.',
  options: PIPELINE_OPTIONS,
  check: contradictions,
  async build(context) {
    const { options, logger, metrics, clock } = context
    const brokers = options.kafkaBrokers
    const log = createKafkaLog({ brokers, clientId: 'weir-pipeline', logger, metrics, clock })
    const clickhouse = new Clickhouse({
      url: options.clickhouseUrl,
      database: options.clickhouseDatabase,
      user: options.clickhouseUser,
      password: options.clickhousePassword,
    })
    const services = await composeRollup({
      log,
      sink: clickhouseSink(clickhouse),
      codecs: await codecsOf(context),
      version: packageVersion(),
      timers: systemTimers,
      ...{ options, clock, logger, metrics },
    })
    return { services, addresses: () => ({}) }
  },
}

async function codecsOf({ options, logger }: Context): Promise<RollupCodecs> {
  const { registryUrl, schemaIdsFile, topicPrefix } = options
  const schemas = subjectSchemas(topicPrefix)
  const { ids, source } = await startWithSchemas({ registryUrl, file: schemaIdsFile, schemas })
  if (source === 'file') logger.warn('the schema registry does not answer: kept ids used')
  const telemetryId = idOf(ids, topicPrefix + TELEMETRY.name)
  return {
    decoder: createAvroDecoder<Telemetry>({
      schema: TELEMETRY_SCHEMA,
      writers: new Map([[telemetryId, TELEMETRY_SCHEMA]]),
      fetchSchema: (id) => fetchSchema(registryUrl, id),
    }),
    telemetry: createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, telemetryId),
    windowUpdates: createAvroEncoder<WindowUpdate>(
      WINDOW_UPDATE_SCHEMA,
      idOf(ids, topicPrefix + ROLLUPS.name),
    ),
  }
}

function idOf(ids: SchemaIds, topic: string): number {
  const id = ids[subjectOf(topic)]
  if (id === undefined) throw new Failure('unavailable', `no schema id is known for ${topic}`)
  return id
}

function packageVersion(): string {
  // Our own file, whose shape we know.
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
