/** Log on Apache Kafka, over kafkajs. */
import type { Clock } from '../clock.ts'
import type { LastWills } from '../lifecycle/last-will.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { KafkaAdmin } from './kafkajs-admin.ts'
import { CONNECT_RETRIES, createKafkaClient } from './kafkajs-client.ts'
import { KafkaConsumer } from './kafkajs-consumer.ts'
import { KafkaWriter } from './kafkajs-writer.ts'
import type { Log } from './log.ts'

export function createKafkaLog(
  options: Readonly<{
    brokers: readonly string[]
    clientId: string
    logger: Logger
    metrics: Metrics
    clock: Clock
    /** Where members of groups leave word of themselves, for when they are killed. */
    wills?: LastWills | undefined
  }>,
): Log {
  const parts = { ...options, kafka: createKafkaClient(options, CONNECT_RETRIES.few) }
  const kafkaOfConsumers = createKafkaClient(options, CONNECT_RETRIES.endless)
  return {
    writer: (settings) => new KafkaWriter(parts, settings),
    consumer: (settings) => new KafkaConsumer({ ...parts, kafkaOfConsumers }, settings),
    admin: () => new KafkaAdmin(parts),
  }
}
