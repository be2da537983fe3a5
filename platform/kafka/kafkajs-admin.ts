/** LogAdmin on kafkajs: topics, offsets and what groups committed. Connects when first asked. */
import type { Admin } from 'kafkajs'
import { Failure } from '../failure.ts'
import { kafkaErrorText, kafkaErrorType, noKafka } from './kafkajs-client.ts'
import type { KafkaParts } from './kafkajs-writer.ts'
import type { Checkpoint, LogAdmin, TopicSpec } from './log.ts'

export type OffsetRange = Readonly<{ earliest: number; end: number }>

export class KafkaAdmin implements LogAdmin {
  readonly #parts: Pick<KafkaParts, 'kafka' | 'brokers'>
  #admin: Promise<Admin> | undefined

  constructor(parts: Pick<KafkaParts, 'kafka' | 'brokers'>) {
    this.#parts = parts
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    const admin = await this.#connected()
    const present = new Set(await admin.listTopics())
    const missing = specs.filter(({ name }) => !present.has(name))
    if (missing.length > 0) await createTopics(admin, missing)
    const counts = await this.#partitionCounts(specs.map(({ name }) => name))
    for (const { name, partitions } of specs) {
      const actual = counts.get(name)
      if (actual === partitions) continue
      throw new Failure(
        'config_invalid',
        `topic ${name} has ${actual} partitions instead of ${partitions}: partitions are never` +
          ' added in place, a new count means a new topic version',
      )
    }
  }

  async partitionCount(topic: string): Promise<number> {
    const count = (await this.#partitionCounts([topic])).get(topic)
    if (count === undefined) throw new Failure('not_found', `no topic ${topic}`)
    return count
  }

  async committed(group: string, topic: string): Promise<Map<number, Checkpoint>> {
    const admin = await this.#connected()
    const checkpoints = new Map<number, Checkpoint>()
    const answers = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    for (const { partition, offset, metadata } of answers.flatMap((answer) => answer.partitions)) {
      // Negative where the group has committed nothing.
      const committed = Number(offset)
      if (committed >= 0)
        checkpoints.set(partition, { offset: committed, metadata: metadata ?? '' })
    }
    return checkpoints
  }

  async offsetsAt(topic: string, timestampMs: number): Promise<Map<number, number>> {
    const admin = await this.#connected()
    const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, timestampMs)
    return new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)]))
  }

  async offsetRange(topic: string): Promise<Map<number, OffsetRange>> {
    const admin = await this.#connected()
    const offsets = await admin.fetchTopicOffsets(topic)
    return new Map(
      offsets.map(({ partition, low, high }) => [
        partition,
        { earliest: Number(low), end: Number(high) },
      ]),
    )
  }

  async deleteRecords(topic: string, before: ReadonlyMap<number, number>): Promise<void> {
    if (before.size === 0) return
    // kafkajs looks for the leaders in what it knows already: this makes it know the topic.
    await this.offsetRange(topic)
    const partitions = [...before].map(([partition, offset]) => ({
      partition,
      offset: String(offset),
    }))
    const admin = await this.#connected()
    try {
      await admin.deleteTopicRecords({ topic, partitions })
    } catch (error) {
      const text = `records of ${topic} not deleted: ${kafkaErrorText(error)}`
      throw new Failure('unavailable', text, { cause: error })
    }
  }

  /** Forgets a group that has no members left. */
  async deleteGroup(group: string): Promise<void> {
    const admin = await this.#connected()
    await admin.deleteGroups([group])
  }

  async close(): Promise<void> {
    const admin = this.#admin
    this.#admin = undefined
    await admin?.then((open) => open.disconnect()).catch(() => undefined)
  }

  async #partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    const admin = await this.#connected()
    const known = new Set(await admin.listTopics())
    const asked = topics.filter((topic) => known.has(topic))
    if (asked.length === 0) return new Map()
    const metadata = await admin.fetchTopicMetadata({ topics: asked })
    return new Map(metadata.topics.map(({ name, partitions }) => [name, partitions.length]))
  }

  #connected(): Promise<Admin> {
    if (this.#admin !== undefined) return this.#admin
    const admin = this.#connect()
    this.#admin = admin
    admin.catch(() => {
      if (this.#admin === admin) this.#admin = undefined
    })
    return admin
  }

  async #connect(): Promise<Admin> {
    const admin = this.#parts.kafka.admin()
    try {
      await admin.connect()
      return admin
    } catch (error) {
      throw noKafka(this.#parts.brokers, error)
    }
  }
}

async function createTopics(admin: Admin, specs: readonly TopicSpec[]): Promise<void> {
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: specs.map((spec) => ({
        topic: spec.name,
        numPartitions: spec.partitions,
        replicationFactor: spec.replicationFactor,
        configEntries: Object.entries(spec.config).map(([name, value]) => ({ name, value })),
      })),
    })
  } catch (error) {
    // Another process was faster; the partition counts are compared either way.
    if (isTopicExists(error)) return
    throw new Failure('unavailable', `topics not created: ${kafkaErrorText(error)}`, {
      cause: error,
    })
  }
}

/** kafkajs collects one error per topic. */
function isTopicExists(error: unknown): boolean {
  const each = error instanceof Error && 'errors' in error ? error.errors : [error]
  return Array.isArray(each) && each.every((one) => kafkaErrorType(one) === 'TOPIC_ALREADY_EXISTS')
}
