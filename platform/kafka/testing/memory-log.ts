/**
 * Log in memory, for tests: the same laws as Kafka's (log-contract.ts), kept by
 * objects. One MemoryLogServer is the cluster; each createMemoryLog is a process that uses it.
 */
import type { Clock } from '../../clock.ts'
import { Failure } from '../../failure.ts'
import type { Checkpoint, Log, LogAdmin, OutgoingRecord, TopicSpec } from '../log.ts'
import { PartitionedWriter } from '../partitioned-writer.ts'
import { MemoryConsumer } from './memory-consumer.ts'
import type { MemoryLogServer, MemoryPartition } from './memory-log-server.ts'

export function createMemoryLog(options: Readonly<{ server: MemoryLogServer; clock: Clock }>): Log {
  const { server, clock } = options
  return {
    writer: (settings) => createMemoryWriter({ server, clock, ...settings }),
    consumer: (settings) => new MemoryConsumer(server, settings),
    admin: () => new MemoryAdmin(server),
  }
}

function createMemoryWriter(
  options: Readonly<{
    server: MemoryLogServer
    clock: Clock
    name: string
    queuedBytesMax: number
    lingerMs: number
  }>,
) {
  const { server, name } = options
  const writer = new PartitionedWriter({
    ...options,
    send: (topic, records) => server.store(topic, records),
  })
  return {
    name,
    failure: new Promise<never>(() => undefined),
    start: async () => {},
    async drain() {
      writer.close()
      await writer.idle()
    },
    append: (topic: string, partition: number, record: OutgoingRecord) =>
      writer.append(topic, partition, record),
    hasRoom: () => writer.hasRoom(),
    room: () => writer.room(),
    get queuedBytes() {
      return writer.queuedBytes
    },
  }
}

class MemoryAdmin implements LogAdmin {
  readonly #server: MemoryLogServer

  constructor(server: MemoryLogServer) {
    this.#server = server
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    for (const spec of specs) {
      const actual = this.#server.topic(spec.name)?.partitions.length
      if (actual === undefined) this.#server.createTopic(spec)
      else if (actual !== spec.partitions) {
        const detail = `topic ${spec.name} has ${actual} partitions instead of ${spec.partitions}`
        throw new Failure('config_invalid', detail)
      }
    }
  }

  async partitionCount(topic: string): Promise<number> {
    return this.#server.partitions(topic).length
  }

  async committed(group: string, topic: string): Promise<Map<number, Checkpoint>> {
    return this.#server.group(group).committed(topic)
  }

  async offsetsAt(topic: string, timestampMs: number): Promise<Map<number, number>> {
    return this.#byPartition(topic, (partition) => {
      const records = partition.read(partition.earliest, Infinity)
      return records.find((record) => record.timestampMs >= timestampMs)?.offset ?? partition.end
    })
  }

  async offsetRange(topic: string): Promise<Map<number, { earliest: number; end: number }>> {
    return this.#byPartition(topic, ({ earliest, end }) => ({ earliest, end }))
  }

  async deleteRecords(topic: string, before: ReadonlyMap<number, number>): Promise<void> {
    for (const [partition, offset] of before) {
      this.#server.partition(topic, partition).truncate(offset)
    }
  }

  async close(): Promise<void> {}

  #byPartition<T>(topic: string, valueOf: (partition: MemoryPartition) => T): Map<number, T> {
    const partitions = this.#server.partitions(topic)
    return new Map(partitions.map((partition, number) => [number, valueOf(partition)]))
  }
}
