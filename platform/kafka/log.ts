/**
 * The log ports: what this project needs of a partitioned, durable log. kafkajs-*.ts implement them
 * over kafkajs and testing/memory-log.ts in memory; log-contract.test.ts holds both to the same laws.
 *
 * An offset is a safe integer here, not a bigint: it is compared once per record on the hottest
 * path, and 2^53 records in one partition is out of reach.
 */
import type { Service } from '../lifecycle/service.ts'

/** What a writer hands in. A null key goes to an explicit partition like any other. */
export type OutgoingRecord = Readonly<{
  key: Buffer | null
  value: Buffer | null
  headers?: Readonly<Record<string, Buffer>>
}>

/**
 * One record of a batch. The object and its buffers may be reused for the next record: copy what
 * you keep. `timestampMs` is the log append time on topics with LogAppendTime.
 */
export type LogRecord = {
  offset: number
  timestampMs: number
  key: Buffer | null
  value: Buffer | null
  headers: Readonly<Record<string, Buffer>>
  /** The value once more, for who reads it where it lies: a Buffer of its own costs as much as reading it. */
  readonly place?: ValuePlace
}

/** bytes[valueFrom, valueTo); `valueTo` is the smaller one where the record has no value. */
export type ValuePlace = Readonly<{ bytes: Buffer; valueFrom: number; valueTo: number }>

/** Records of one partition in offset order. Offsets need not be dense. */
export interface LogBatch {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  /** The offset the next produced record will get, as of the fetch. */
  readonly endOffset: number
  readonly bytes: number
  forEach(visit: (record: LogRecord) => void): void
}

/**
 * append() resolves when all in-sync replicas have the record (acks = -1), and keeps call order
 * within a partition: one request in flight per partition, the same bytes until acknowledged. It
 * never gives up while the writer is open; it rejects with `shutting_down` once drained. Records
 * gathered into one request share one promise.
 *
 * Bytes waiting are bounded by the callers: check hasRoom() before accepting work, await room().
 */
export interface LogWriter extends Service {
  append(topic: string, partition: number, record: OutgoingRecord): Promise<void>
  hasRoom(): boolean
  room(): Promise<void>
  readonly queuedBytes: number
}

export type Checkpoint = Readonly<{ offset: number; metadata: string }>
export type Assignment = Readonly<{
  topic: string
  partition: number
  /** Grows with every assignment of this partition to this member. Commits of older ones are dropped. */
  epoch: number
  /** What the group committed last, if anything. */
  committed: Checkpoint | undefined
}>

/** What a consumer asks of its owner. None of these may throw for an expected reason. */
export type LogConsumerHandler = Readonly<{
  /** A partition became ours (or stayed ours through a rebalance): answer where to read from. */
  assigned(assignment: Assignment): Promise<number>
  /** A partition is no longer ours. Late commits for it are refused by epoch. */
  revoked(topic: string, partition: number): void
  /** Resolves when the owner has taken the batch; a slow answer pauses this partition only. */
  batch(batch: LogBatch): Promise<void>
}>

export interface LogConsumer extends Service {
  /** Commits for the given epoch; resolves false when that assignment is no longer current. */
  commit(assignment: Assignment, checkpoint: Checkpoint): Promise<boolean>
  pause(topic: string, partition: number): void
  resume(topic: string, partition: number): void
}

export type TopicSpec = Readonly<{
  name: string
  partitions: number
  replicationFactor: number
  config: Readonly<Record<string, string>>
}>

export interface LogAdmin {
  /** Creates what is missing and leaves what exists. Rejects if a partition count differs. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>
  partitionCount(topic: string): Promise<number>
  committed(group: string, topic: string): Promise<Map<number, Checkpoint>>
  /** First offset whose timestamp is at or after the given time; the end offset where there is none. */
  offsetsAt(topic: string, timestampMs: number): Promise<Map<number, number>>
  /** [earliest, end) per partition. */
  offsetRange(topic: string): Promise<Map<number, Readonly<{ earliest: number; end: number }>>>
  /** Deletes the records before the given offset of each partition, for good. */
  deleteRecords(topic: string, before: ReadonlyMap<number, number>): Promise<void>
  close(): Promise<void>
}

/** One connection to a log; everything else is made from it. */
export interface Log {
  writer(options: Readonly<{ name: string; queuedBytesMax: number; lingerMs: number }>): LogWriter
  /** `group` undefined: a private reader that gets every partition and never commits. */
  consumer(
    options: Readonly<{
      name: string
      group: string | undefined
      topics: readonly string[]
      handler: LogConsumerHandler
    }>,
  ): LogConsumer
  admin(): LogAdmin
}
