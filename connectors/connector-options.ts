/** Options of the connectors process, and how they must fit together. */
import type { OptionTable, OptionValues } from '../platform/config/options.ts'
import {
  CREDENTIAL_OPTIONS,
  KAFKA_OPTIONS,
  POSTGRES_OPTIONS,
  RETENTION_OPTIONS,
} from '../platform/config/shared-options.ts'
import { retentionContradictions } from '../schemas/telemetry.ts'
import { MQTT_LIMITS } from './mqtt/mqtt-limits.ts'

const MIB = 1024 * 1024

export const CONNECTOR_OPTIONS = {
  ...KAFKA_OPTIONS,
  ...POSTGRES_OPTIONS,
  ...CREDENTIAL_OPTIONS,
  ...RETENTION_OPTIONS,
  mqttHost: { kind: 'text', default: '127.0.0.1', doc: 'Address the MQTT listener binds to.' },
  mqttPort: {
    kind: 'integer',
    default: 1883,
    min: 0,
    max: 65_535,
    doc: 'Port of the MQTT listener; 0 takes any free one.',
  },
  mqttConnectionsMax: {
    kind: 'integer',
    default: MQTT_LIMITS.connectionsMax,
    min: 1,
    max: 1_000_000,
    doc: 'MQTT connections at a time; further ones are closed at once.',
  },
  mqttInFlightMax: {
    kind: 'integer',
    default: MQTT_LIMITS.inFlightMax,
    min: 1,
    max: 65_535,
    doc: 'Messages of one connection that are read and not yet acknowledged.',
  },
  mqttConnectTimeoutMs: {
    kind: 'integer',
    default: MQTT_LIMITS.connectTimeoutMs,
    min: 100,
    max: 60_000,
    unit: 'ms',
    doc: 'How long a new connection may take to send its CONNECT packet.',
  },
  mqttPacketBytesMax: {
    kind: 'integer',
    default: MQTT_LIMITS.packetBytesMax,
    min: 1024,
    max: MIB,
    unit: 'bytes',
    doc: 'Longer MQTT packets close the connection before they are read.',
  },
  payloadBytesMax: {
    kind: 'integer',
    default: 131_072,
    min: 64,
    // Many short names with small numbers are three times as long as a record; it must fit Kafka's.
    max: MIB / 2,
    unit: 'bytes',
    doc: 'Longer payloads are recorded as dead letters instead of telemetry.',
  },
  kafkaQueuedBytesMax: {
    kind: 'integer',
    default: 64 * MIB,
    min: MIB,
    max: 1024 * MIB,
    unit: 'bytes',
    doc: 'Bytes waiting for Kafka at which devices are no longer read.',
  },
  kafkaLingerMs: {
    kind: 'integer',
    default: 15,
    min: 0,
    max: 1000,
    unit: 'ms',
    doc: 'How long a busy partition gathers records for one request; acknowledgements wait as long.',
  },
} as const satisfies OptionTable

/** Sentences about options that contradict each other. */
export function contradictions(options: OptionValues<typeof CONNECTOR_OPTIONS>): readonly string[] {
  const found = [...retentionContradictions(options)]
  if (options.payloadBytesMax >= options.mqttPacketBytesMax) {
    found.push('--payload-bytes-max must be below --mqtt-packet-bytes-max.')
  }
  if (options.credentialKey.length < 16) {
    found.push('--credential-key must have at least 16 characters.')
  }
  return found
}
