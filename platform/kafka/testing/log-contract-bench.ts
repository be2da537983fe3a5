/** What the laws of log-contract.ts are tried on: fresh names, services, and a handler that waits. */
import assert from 'node:assert/strict'
import type {
  Assignment,
  Log,
  LogAdmin,
  LogBatch,
  LogConsumer,
  LogConsumerHandler,
  LogWriter,
} from '../log.ts'

export type OpenedLog = Readonly<{ log: Log; namespace: string; close: () => Promise<void> }>

export const DRAIN_MS = 10_000
const WRITER = { name: 'writer', queuedBytesMax: 64 * 1024 * 1024, lingerMs: 2 }

type Seen = Readonly<{
  partition: number
  offset: number
  timestampMs: number
  key: string | null
  value: string | null
  headers: Record<string, string>
}>

/** A handler that keeps what it is handed and lets tests wait for it. */
export class Recorder implements LogConsumerHandler {
  readonly seen: Seen[] = []
  readonly assignments: Assignment[] = []
  readonly revocations: string[] = []
  readonly batches: { firstOffset: number; lastOffset: number; endOffset: number }[] = []
  positionOf: (assignment: Assignment) => number = ({ committed }) => committed?.offset ?? 0
  /** Awaited before a batch counts as taken. */
  hold: (batch: LogBatch) => Promise<void> = async () => {}
  #waiters: { until: () => boolean; resolve: () => void }[] = []

  assigned = async (assignment: Assignment): Promise<number> => {
    this.assignments.push(assignment)
    this.#look()
    return this.positionOf(assignment)
  }

  revoked = (topic: string, partition: number): void => {
    this.revocations.push(`${topic}/${partition}`)
    this.#look()
  }

  batch = async (batch: LogBatch): Promise<void> => {
    const { firstOffset, lastOffset, endOffset } = batch
    this.batches.push({ firstOffset, lastOffset, endOffset })
    batch.forEach((record) => {
      const headers = Object.entries(record.headers).map(([name, value]) => [name, String(value)])
      this.seen.push({
        partition: batch.partition,
        offset: record.offset,
        timestampMs: record.timestampMs,
        key: record.key?.toString() ?? null,
        value: record.value?.toString() ?? null,
        headers: Object.fromEntries(headers),
      })
    })
    this.#look()
    await this.hold(batch)
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ until: condition, resolve }))
  }

  count(records: number): Promise<void> {
    return this.until(() => this.seen.length >= records)
  }

  latest(partition: number): Assignment {
    const found = this.assignments.findLast((assignment) => assignment.partition === partition)
    assert.ok(found, `partition ${partition} was never assigned`)
    return found
  }

  #look(): void {
    const due = this.#waiters.filter(({ until }) => until())
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter))
    for (const { resolve } of due) resolve()
  }
}

/** What every test gets: fresh names, and services that are drained when it ends. */
export class Bench {
  readonly log: Log
  readonly admin: LogAdmin
  readonly #namespace: string
  readonly #services: (LogWriter | LogConsumer)[] = []
  #names = 0

  constructor({ log, namespace }: OpenedLog) {
    this.log = log
    this.admin = log.admin()
    this.#namespace = namespace
  }

  name(): string {
    return `${this.#namespace}contract-${process.pid}-${++this.#names}`
  }

  async topic(partitions: number, config: Record<string, string> = {}): Promise<string> {
    const name = this.name()
    await this.admin.ensureTopics([{ name, partitions, replicationFactor: 1, config }])
    return name
  }

  async writer(settings: Partial<typeof WRITER> = {}): Promise<LogWriter> {
    const writer = this.log.writer({ ...WRITER, ...settings })
    this.#services.push(writer)
    await writer.start()
    return writer
  }

  async reader(
    topics: readonly string[],
    group: string | undefined,
    handler: Recorder = new Recorder(),
  ): Promise<Readonly<{ consumer: LogConsumer; handler: Recorder }>> {
    const consumer = this.log.consumer({ name: this.name(), group, topics, handler })
    this.#services.push(consumer)
    await consumer.start()
    return { consumer, handler }
  }

  async drain(): Promise<void> {
    const services = this.#services.splice(0)
    await Promise.all(services.map((service) => service.drain(DRAIN_MS)))
  }
}
