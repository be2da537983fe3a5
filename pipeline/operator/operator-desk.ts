/** What operators' commands about the log share: their options, and the connections they open. */
import { systemClock } from '../../platform/clock.ts'
import type { OptionTable, OptionValues } from '../../platform/config/options.ts'
import { KAFKA_OPTIONS } from '../../platform/config/shared-options.ts'
import { createKafkaLog } from '../../platform/kafka/kafkajs-log.ts'
import type { Log, LogAdmin } from '../../platform/kafka/log.ts'
import { fetchSchema, startWithSchemas } from '../../platform/kafka/schema-registry.ts'
import { createLogger } from '../../platform/observe/json-logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import type { AvroDecoder } from '../../schemas/avro-codec.ts'
import { subjectSchemas } from '../../schemas/registered-schemas.ts'
import type { Telemetry } from '../../schemas/telemetry.ts'
import { TopicCodecs } from '../../schemas/topic-codecs.ts'
import { DEAD_LETTERS, TELEMETRY } from '../../schemas/topics.ts'
import { STACK_OPTION } from './operator-command.ts'

const JSON_OPTION = {
  json: { kind: 'switch', default: false, doc: 'End with one JSON object on standard output.' },
} as const satisfies OptionTable

export const DESK_OPTIONS = {
  ...STACK_OPTION,
  ...KAFKA_OPTIONS,
  ...JSON_OPTION,
} as const satisfies OptionTable

export const DRY_RUN_OPTION = {
  dryRun: { kind: 'switch', default: false, doc: 'Say what would be done, and change nothing.' },
} as const satisfies OptionTable

export type Desk = Readonly<{
  log: Log
  admin: LogAdmin
  lettersTopic: string
  telemetryTopic: string
  /** Rejects when no schema id is known: neither from the registry nor from the kept file. */
  decoder(): Promise<AvroDecoder<Telemetry>>
}>

/** Runs the work with a connection to Kafka, and closes it again. */
export async function atDesk<T>(
  options: OptionValues<typeof DESK_OPTIONS>,
  work: (desk: Desk) => Promise<T>,
): Promise<T> {
  const { kafkaBrokers, topicPrefix, registryUrl, schemaIdsFile: file } = options
  const logger = createLogger({
    level: 'warn',
    format: process.stderr.isTTY ? 'text' : 'json',
    clock: systemClock,
    write: (line) => process.stderr.write(line),
  })
  const log = createKafkaLog({
    brokers: kafkaBrokers,
    clientId: 'weir-dlq',
    logger,
    metrics: new Metrics({ role: 'dlq', processMetrics: false }),
    clock: systemClock,
  })
  const admin = log.admin()
  const desk: Desk = {
    ...{ log, admin },
    lettersTopic: topicPrefix + DEAD_LETTERS.name,
    telemetryTopic: topicPrefix + TELEMETRY.name,
    async decoder() {
      const schemas = subjectSchemas(topicPrefix)
      const { ids } = await startWithSchemas({ registryUrl, file, schemas, logger })
      const fetch = (id: number) => fetchSchema(registryUrl, id)
      return new TopicCodecs({ topicPrefix, ids, fetchSchema: fetch }).decoder(TELEMETRY)
    },
  }
  try {
    return await work(desk)
  } finally {
    await admin.close()
  }
}

export function printJson(wanted: boolean, answer: Readonly<Record<string, unknown>>): void {
  if (wanted) process.stdout.write(`${JSON.stringify(answer)}\n`)
}
