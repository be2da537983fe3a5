/**
 * The cluster behind a Log in memory: topics, their partitions and groups. It takes a batch as a
 * broker does, by the rules that log-contract.ts asks for.
 */
import type { Clock } from '../../clock.ts'
import { Failure } from '../../failure.ts'
import type { LogRecord, TopicSpec } from '../log.ts'
import type { PackedRecords } from '../packed-records.ts'
import type { SendOutcome } from '../partitioned-writer.ts'
import { forEachRecord } from '../record-batch-reader.ts'
import { rawBatchOf } from '../split-records.ts'
import { MemoryGroup } from './memory-group.ts'

export type StoredRecord = Readonly<LogRecord>
type Topic = Readonly<{ spec: TopicSpec; partitions: readonly MemoryPartition[] }>

/** Records of one partition; truncate() is what retention does. */
export class MemoryPartition {
  #records: StoredRecord[] = []
  #earliest = 0
  readonly #waiting = new Set<() => void>()

  get earliest(): number {
    return this.#earliest
  }

  get end(): number {
    return this.#earliest + this.#records.length
  }

  push(record: Omit<StoredRecord, 'offset'>): void {
    this.#records.push({ ...record, offset: this.end })
    for (const wake of this.#waiting) wake()
  }

  read(from: number, recordsMax: number): readonly StoredRecord[] {
    const start = Math.max(0, from - this.#earliest)
    return this.#records.slice(start, start + recordsMax)
  }

  truncate(earliest: number): void {
    this.#records = this.#records.slice(Math.max(0, earliest - this.#earliest))
    this.#earliest = Math.max(this.#earliest, earliest)
  }

  /** Calls `wake` after every record that is added, until the returned function is called. */
  onAppend(wake: () => void): () => void {
    this.#waiting.add(wake)
    return () => this.#waiting.delete(wake)
  }
}

export class MemoryLogServer {
  readonly #clock: Clock
  readonly #topics = new Map<string, Topic>()
  readonly #groups = new Map<string, MemoryGroup>()

  constructor(options: Readonly<{ clock: Clock }>) {
    this.#clock = options.clock
  }

  createTopic(spec: TopicSpec): void {
    const partitions = Array.from({ length: spec.partitions }, () => new MemoryPartition())
    this.#topics.set(spec.name, { spec, partitions })
  }

  topic(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  partitions(topic: string): readonly MemoryPartition[] {
    const found = this.#topics.get(topic)
    if (found === undefined) throw new Failure('not_found', `no topic ${topic}`)
    return found.partitions
  }

  partition(topic: string, partition: number): MemoryPartition {
    const found = this.partitions(topic)[partition]
    if (found === undefined) throw new Failure('not_found', `no partition ${partition} in ${topic}`)
    return found
  }

  group(name: string): MemoryGroup {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new MemoryGroup((topic) => this.partitions(topic).length)
      this.#groups.set(name, group)
    }
    return group
  }

  forgetGroup(name: string): void {
    this.#groups.delete(name)
  }

  /** Takes a batch as a broker does: whole, or refused for its size or a missing key. */
  async store(topic: string, records: PackedRecords): Promise<SendOutcome> {
    const partition = this.#topics.get(topic)?.partitions[records.partition]
    if (partition === undefined) {
      // Kafka's writer would wait for the topic; in a test it is a mistake that should show.
      const detail = `no partition ${records.partition} in ${topic}`
      return { kind: 'refused', failure: new Failure('not_found', detail) }
    }
    const config = this.#topics.get(topic)?.spec.config ?? {}
    const bytesMax = Number(config['max.message.bytes'] ?? Infinity)
    if (records.byteLength > bytesMax) {
      const detail = `${topic}: ${records.byteLength} bytes are more than ${bytesMax}`
      return { kind: 'refused', failure: new Failure('payload_too_large', detail) }
    }
    const nowMs = this.#clock.nowMs()
    const appendTime = config['message.timestamp.type'] === 'LogAppendTime'
    const taken: Omit<StoredRecord, 'offset'>[] = []
    forEachRecord(rawBatchOf(records), 0, ({ timestampMs, key, value, headers }) => {
      taken.push({
        timestampMs: appendTime ? nowMs : timestampMs,
        key: copyOf(key),
        value: copyOf(value),
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, held]) => [name, Buffer.from(held)]),
        ),
      })
    })
    if (config['cleanup.policy'] === 'compact' && taken.some(({ key }) => key === null)) {
      const detail = `${topic} is compacted and takes no record without a key`
      return { kind: 'refused', failure: new Failure('request_invalid', detail) }
    }
    for (const record of taken) partition.push(record)
    return { kind: 'stored' }
  }
}

const copyOf = (bytes: Buffer | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes))
