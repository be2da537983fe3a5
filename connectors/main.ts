/** Composition root of the connectors process: protocols in, Kafka out. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeviceDirectory } from '../devices/device-directory.ts'
import { PostgresDevices } from '../devices/device-directory-postgres.ts'
import { Failure } from '../platform/failure.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import type { Log } from '../platform/kafka/log.ts'
import { startWithSchemas } from '../platform/kafka/schema-registry.ts'
import type { Role, RoleContext } from '../platform/lifecycle/role.ts'
import { packageRoot } from '../platform/package-root.ts'
import { createAvroEncoder } from '../schemas/avro-codec.ts'
import { TELEMETRY_SCHEMA, type Telemetry } from '../schemas/telemetry.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import { DEAD_LETTERS, TELEMETRY, subjectOf } from '../schemas/topics.ts'
import { CONNECTOR_OPTIONS, contradictions } from './connector-options.ts'
import { DeviceLanes } from './device-lanes.ts'
import { Ingress } from './ingress.ts'
import { MqttListener } from './mqtt/mqtt-listener.ts'
import { MQTT_LIMITS } from './mqtt/mqtt-limits.ts'
import { Tally } from './tally.ts'

type Context = RoleContext<typeof CONNECTOR_OPTIONS>

export const connectorsRole: Role<typeof CONNECTOR_OPTIONS> = {
  name: 'connectors',
  summary: 'Takes what devices say and writes it to Kafka.',
  options: CONNECTOR_OPTIONS,
  check: contradictions,
  async build(context) {
    const { options, logger, metrics, clock } = context
    const log = createKafkaLog({
      brokers: options.kafkaBrokers,
      clientId: 'weir-connectors',
      logger,
      metrics,
      clock,
    })
    const writer = log.writer({
      name: 'telemetry-writer',
      queuedBytesMax: options.kafkaQueuedBytesMax,
      lingerMs: options.kafkaLingerMs,
    })
    const tally = new Tally(metrics)
    const devices = new PostgresDevices({ url: options.postgresUrl, logger, clock })
    const directory = new DeviceDirectory({
      credentialKey: options.credentialKey,
      source: devices,
      changes: devices,
      clock,
      logger,
    })
    const partitions = await partitionCounts(log, options.topicPrefix)
    const ingress = new Ingress({
      writer,
      lanes: new DeviceLanes(partitions.telemetry),
      tally,
      topicPrefix: options.topicPrefix,
      payloadBytesMax: options.payloadBytesMax,
      encode: await telemetryEncoder(context),
      deadLetterSource: { service: 'connectors', version: packageVersion() },
      deadLetterPartitions: partitions.deadLetters,
    })
    const mqtt = new MqttListener({
      host: options.mqttHost,
      port: options.mqttPort,
      ingress,
      directory,
      tally,
      metrics,
      logger,
      clock,
      limits: {
        ...MQTT_LIMITS,
        connectionsMax: options.mqttConnectionsMax,
        inFlightMax: options.mqttInFlightMax,
        connectTimeoutMs: options.mqttConnectTimeoutMs,
        packetBytesMax: options.mqttPacketBytesMax,
      },
    })
    return {
      services: [writer, tally, directory, mqtt],
      addresses: () => ({ mqtt: `mqtt://${options.mqttHost}:${mqtt.port}` }),
    }
  },
}

async function partitionCounts(
  log: Log,
  topicPrefix: string,
): Promise<Readonly<{ telemetry: number; deadLetters: number }>> {
  const admin = log.admin()
  try {
    return {
      telemetry: await admin.partitionCount(topicPrefix + TELEMETRY.name),
      deadLetters: await admin.partitionCount(topicPrefix + DEAD_LETTERS.name),
    }
  } finally {
    await admin.close()
  }
}

async function telemetryEncoder(context: Context): Promise<(telemetry: Telemetry) => Buffer> {
  const { registryUrl, schemaIdsFile, topicPrefix } = context.options
  const schemas = subjectSchemas(topicPrefix)
  const { ids, source } = await startWithSchemas({ registryUrl, file: schemaIdsFile, schemas })
  if (source === 'file') context.logger.warn('the schema registry does not answer: kept ids used')
  const subject = subjectOf(topicPrefix + TELEMETRY.name)
  const id = ids[subject]
  if (id === undefined) throw new Failure('unavailable', `no schema id is known for ${subject}`)
  return createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, id).encode
}

function packageVersion(): string {
  // Our own file, whose shape we know.
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
