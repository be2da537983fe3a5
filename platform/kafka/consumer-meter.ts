/** What a consumer says of itself: in the words of the metric catalogue, and loud where it must be. */
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { kafkaErrorText } from './kafkajs-client.ts'
import type { TopicPartition } from './sticky-assignment.ts'

export class ConsumerMeter {
  /** Of the group, as this member knows it. */
  generation = 0
  readonly #metrics: Metrics
  readonly #logger: Logger
  readonly #names: Readonly<{ consumer: string; group: string }>

  constructor(
    parts: Readonly<{ metrics: Metrics; logger: Logger }>,
    names: Readonly<{ consumer: string; group: string }>,
  ) {
    this.#metrics = parts.metrics
    this.#logger = parts.logger
    this.#names = names
  }

  fetched({ topic }: TopicPartition, bytes: number): void {
    this.#metrics.add('weir_kafka_fetched_bytes_total', bytes, { topic })
  }

  rebalanced(): void {
    this.#metrics.add('weir_kafka_rebalances_total', 1, { consumer: this.#names.consumer })
  }

  inGeneration(generation: number): void {
    if (generation === this.generation) return
    this.generation = generation
    const { consumer } = this.#names
    this.#metrics.set('weir_kafka_group_generation', generation, { consumer })
  }

  lag(
    { topic, partition }: TopicPartition,
    { lagRecords, lagMs }: Readonly<{ lagRecords: number; lagMs: number }>,
  ): void {
    const labels = { consumer: this.#names.consumer, topic, partition }
    this.#metrics.set('weir_kafka_lag_records', lagRecords, labels)
    this.#metrics.set('weir_kafka_lag_seconds', lagMs / 1_000, labels)
  }

  /** Offsets that were wanted and are not in the log: from `wanted` up to `found`, or back to it. */
  gap({ topic, partition }: TopicPartition, wanted: number, found: number): void {
    this.#metrics.add('weir_offset_gap_total', 1, { topic })
    const { group } = this.#names
    const where = { topic, partition, wanted, found, group }
    this.#logger.error('offsets are missing from the log', where)
  }

  noOffsets(topic: string, error: unknown): void {
    const text = kafkaErrorText(error)
    this.#logger.warn('offsets of a topic not known yet', { topic, error: text })
  }

  damaged({ topic, partition }: TopicPartition, after: number, damage: string): void {
    this.#metrics.add('weir_kafka_damaged_fetches_total', 1, { topic })
    const where = { topic, partition, after, damage }
    this.#logger.error('bytes arrived that Kafka did not store', where)
  }
}
