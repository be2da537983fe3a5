/**
 * Every topic: who is its key, how records spread, what schema its values follow, how long they
 * stay. Keys are `tenant/device`, partitioned by murmur2 of the key as every Kafka client does, so
 * that one device's records stay in order in one partition.
 *
 * Partitions are never added in place: keys would move and offsets stop being comparable. A new
 * count means a new topic version.
 */
const DAY_MS = 86_400_000

type TopicName = 'telemetry.v1' | 'telemetry.v1.dlq' | 'telemetry.quarantine.v1' | 'rollups.v1'
export type TopicDefinition = Readonly<{
  name: TopicName
  schema: 'Telemetry' | 'WindowUpdate' | undefined
  config: Readonly<Record<string, string>>
}>

export const TELEMETRY = {
  name: 'telemetry.v1',
  schema: 'Telemetry',
  config: {
    // With device times as record timestamps, retention would delete a backlog on arrival.
    'message.timestamp.type': 'LogAppendTime',
    'retention.ms': String(7 * DAY_MS),
    // Kafka deletes whole segments, and by default fills one for a week: the oldest record in it
    // would stay for twice the retention, and be older than the raw rows allow for.
    'segment.ms': String(DAY_MS),
    'max.message.bytes': String(2 * 1024 * 1024),
  },
} as const satisfies TopicDefinition

/**
 * Values are the original bytes, the context is in headers (dead-letter.ts): no schema. The
 * largest telemetry record and its story must fit, or the offset could never be passed. The append
 * time is the broker's, so that retention counts from the refusal whatever a writer's clock says;
 * the original time is in a header.
 */
export const DEAD_LETTERS = {
  name: 'telemetry.v1.dlq',
  schema: undefined,
  config: {
    'message.timestamp.type': 'LogAppendTime',
    'retention.ms': String(30 * DAY_MS),
    'max.message.bytes': String(2 * 1024 * 1024 + 128 * 1024),
  },
} as const satisfies TopicDefinition

/** What quarantined devices say: kept as telemetry is spelled, and counted only if it is released. */
export const QUARANTINE = {
  name: 'telemetry.quarantine.v1',
  schema: 'Telemetry',
  config: {
    'message.timestamp.type': 'LogAppendTime',
    'retention.ms': String(30 * DAY_MS),
    'max.message.bytes': String(2 * 1024 * 1024),
  },
} as const satisfies TopicDefinition

/** For live feeds only; the truth is in ClickHouse. */
export const ROLLUPS = {
  name: 'rollups.v1',
  schema: 'WindowUpdate',
  config: { 'retention.ms': String(3_600_000), 'message.timestamp.type': 'LogAppendTime' },
} as const satisfies TopicDefinition

export const TOPICS: readonly TopicDefinition[] = [TELEMETRY, DEAD_LETTERS, QUARANTINE, ROLLUPS]

/** The registry subject of a topic's values (TopicNameStrategy). */
export const subjectOf = (topic: string): string => `${topic}-value`

/** The record key of a device. Ids cannot contain a slash. */
export const deviceKey = (tenant: string, device: string): string => `${tenant}/${device}`

/** Kafka's murmur2 partitioner: the same partition as the Java client gives this key. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

/** 32-bit murmur2 with Kafka's seed, as in org.apache.kafka.common.utils.Utils. */
export function murmur2(key: Uint8Array): number {
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ key.length
  const whole = key.length & ~3
  for (let i = 0; i < whole; i += 4) {
    let k =
      byteAt(key, i) |
      (byteAt(key, i + 1) << 8) |
      (byteAt(key, i + 2) << 16) |
      (byteAt(key, i + 3) << 24)
    k = Math.imul(k, m)
    k = Math.imul(k ^ (k >>> 24), m)
    h = Math.imul(h, m) ^ k
  }
  const rest = key.length & 3
  if (rest === 3) h ^= byteAt(key, whole + 2) << 16
  if (rest >= 2) h ^= byteAt(key, whole + 1) << 8
  if (rest >= 1) h = Math.imul(h ^ byteAt(key, whole), m)
  h = Math.imul(h ^ (h >>> 13), m)
  return h ^ (h >>> 15)
}

const byteAt = (bytes: Uint8Array, index: number): number => bytes[index] ?? 0
