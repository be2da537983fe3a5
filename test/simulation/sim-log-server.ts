/** The log of a simulated world: partitions whose offsets have holes, and whose oldest records go. */
import type { LogBatch, LogRecord } from '../../platform/kafka/log.ts'

export type StoredRecord = Readonly<LogRecord>

export class SimPartition {
  readonly topic: string
  readonly partition: number
  #records: StoredRecord[] = []
  earliest = 0
  end = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** Answers the offset that the record got. */
  push(record: Omit<StoredRecord, 'offset'>): number {
    const offset = this.end
    this.#records.push({ ...record, offset })
    this.end += 1
    return offset
  }

  /** Offsets that never hold a record, as markers of transactions leave them. */
  skip(offsets: number): void {
    this.end += offsets
  }

  /** Retention: what is before this offset is gone. */
  truncate(earliest: number): void {
    this.earliest = Math.max(this.earliest, Math.min(earliest, this.end))
    this.#records = this.#records.filter(({ offset }) => offset >= this.earliest)
  }

  get records(): readonly StoredRecord[] {
    return this.#records
  }

  read(fromOffset: number, recordsMax: number): readonly StoredRecord[] {
    const from = this.#records.findIndex(({ offset }) => offset >= fromOffset)
    return from < 0 ? [] : this.#records.slice(from, from + recordsMax)
  }

  /** First offset appended at or after the time; the end where there is none. */
  offsetAt(timestampMs: number): number {
    const found = this.#records.find((record) => record.timestampMs >= timestampMs)
    return found?.offset ?? this.end
  }
}

export class SimLogServer {
  readonly #topics = new Map<string, readonly SimPartition[]>()

  createTopic(name: string, partitions: number): void {
    const all = Array.from({ length: partitions }, (_, p) => new SimPartition(name, p))
    this.#topics.set(name, all)
  }

  partitions(topic: string): readonly SimPartition[] {
    return this.#topics.get(topic) ?? []
  }

  partition(topic: string, partition: number): SimPartition {
    const found = this.partitions(topic)[partition]
    if (found === undefined) throw new Error(`no partition ${topic}/${partition}`)
    return found
  }
}

/**
 * Records as the real log hands them out: one object that moves, over bytes that are another
 * record's as soon as the visit is over. Who keeps a view reads nonsense.
 */
export function simBatch(from: SimPartition, records: readonly StoredRecord[]): LogBatch {
  const [first, last] = [records[0], records.at(-1)]
  let bytes = 0
  for (const { key, value } of records) bytes += (key?.length ?? 0) + (value?.length ?? 0)
  return {
    topic: from.topic,
    partition: from.partition,
    firstOffset: first?.offset ?? from.end,
    lastOffset: last?.offset ?? from.end - 1,
    endOffset: from.end,
    bytes,
    forEach(visit) {
      const moving: LogRecord = { offset: -1, timestampMs: 0, key: null, value: null, headers: {} }
      for (const record of records) {
        const value = record.value === null ? null : Buffer.from(record.value)
        moving.offset = record.offset
        moving.timestampMs = record.timestampMs
        moving.key = record.key
        moving.value = value
        moving.headers = record.headers
        visit(moving)
        value?.fill(0xee)
      }
    },
  }
}
