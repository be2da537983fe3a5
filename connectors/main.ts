/** Composition root of the connectors process: protocols in, Kafka out. */
import { credentialUses } from '../devices/credential-uses.ts'
import { DeviceDirectory } from '../devices/device-directory.ts'
import { PostgresDevices } from '../devices/device-directory-postgres.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import type { Log } from '../platform/kafka/log.ts'
import { startWithSchemas } from '../platform/kafka/schema-registry.ts'
import type { Role, RoleContext } from '../platform/lifecycle/role.ts'
import { packageVersion } from '../platform/package-root.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import { acceptedAgeMs, type Telemetry } from '../schemas/telemetry.ts'
import { TopicCodecs } from '../schemas/topic-codecs.ts'
import { DEAD_LETTERS, QUARANTINE, TELEMETRY } from '../schemas/topics.ts'
import { CONNECTOR_OPTIONS, contradictions } from './connector-options.ts'
import { DeviceLanes, rulesOf } from './device-lanes.ts'
import { Ingress } from './ingress.ts'
import { MqttListener } from './mqtt/mqtt-listener.ts'
import { MQTT_LIMITS } from './mqtt/mqtt-limits.ts'
import { RefusalLog } from './refusal-log.ts'
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
    const uses = credentialUses(devices, { logger, clock })
    const directory = new DeviceDirectory({
      credentialKey: options.credentialKey,
      source: devices,
      changes: devices,
      used: (credential) => uses.note(credential),
      clock,
      logger,
    })
    const partitions = await partitionCounts(log, options.topicPrefix)
    const lanes = new DeviceLanes(partitions.telemetry)
    directory.onUpdated((row) => lanes.setRules(row.tenant, row.device, rulesOf(row)))
    const ingress = new Ingress({
      writer,
      lanes,
      tally,
      topicPrefix: options.topicPrefix,
      payloadBytesMax: options.payloadBytesMax,
      acceptedAgeMs: acceptedAgeMs(options),
      encode: await telemetryEncoder(context),
      deadLetterSource: { service: 'connectors', version: packageVersion() },
      deadLetterPartitions: partitions.deadLetters,
      quarantinePartitions: partitions.quarantine,
      refusals: new RefusalLog(logger),
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
      // The last uses are written before the directory closes its database.
      services: [writer, tally, directory, uses, mqtt],
      addresses: () => ({ mqtt: `mqtt://${options.mqttHost}:${mqtt.port}` }),
    }
  },
}

async function partitionCounts(
  log: Log,
  topicPrefix: string,
): Promise<Readonly<{ telemetry: number; deadLetters: number; quarantine: number }>> {
  const admin = log.admin()
  try {
    return {
      telemetry: await admin.partitionCount(topicPrefix + TELEMETRY.name),
      deadLetters: await admin.partitionCount(topicPrefix + DEAD_LETTERS.name),
      quarantine: await admin.partitionCount(topicPrefix + QUARANTINE.name),
    }
  } finally {
    await admin.close()
  }
}

async function telemetryEncoder(context: Context): Promise<(telemetry: Telemetry) => Buffer> {
  const { registryUrl, schemaIdsFile: file, topicPrefix } = context.options
  const { logger } = context
  const schemas = subjectSchemas(topicPrefix)
  const { ids } = await startWithSchemas({ registryUrl, file, schemas, logger })
  return new TopicCodecs({ topicPrefix, ids }).encoder(TELEMETRY).encode
}
