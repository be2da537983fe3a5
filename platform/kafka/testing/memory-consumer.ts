/** LogConsumer in memory: reads a MemoryLogServer as a member of a MemoryGroup, or for itself. */
import type {
  Assignment,
  Checkpoint,
  LogBatch,
  LogConsumer,
  LogConsumerHandler,
  LogRecord,
} from '../log.ts'
import { MemoryGroup, type MemoryMember, type TopicPartition } from './memory-group.ts'
import type { MemoryLogServer, StoredRecord } from './memory-log-server.ts'

const BATCH_RECORDS_MAX = 500

type Settings = Readonly<{
  name: string
  group: string | undefined
  topics: readonly string[]
  handler: LogConsumerHandler
}>
type Reading = TopicPartition & {
  epoch: number
  mine: boolean
  ready: boolean
  paused: boolean
  busy: boolean
  position: number
  work: Promise<void>
  stopListening: () => void
}

export class MemoryConsumer implements LogConsumer, MemoryMember {
  readonly name: string
  readonly topics: readonly string[]
  readonly failure: Promise<never>
  readonly #server: MemoryLogServer
  readonly #settings: Settings
  readonly #group: MemoryGroup
  readonly #readings = new Map<string, Reading>()
  #fail: (reason: unknown) => void = () => undefined

  constructor(server: MemoryLogServer, settings: Settings) {
    this.name = settings.name
    this.topics = settings.topics
    this.#server = server
    this.#settings = settings
    this.#group =
      settings.group === undefined
        ? new MemoryGroup((topic) => server.partitions(topic).length)
        : server.group(settings.group)
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => undefined)
  }

  async start(): Promise<void> {
    this.#group.join(this)
  }

  async drain(): Promise<void> {
    for (const reading of this.#readings.values()) reading.paused = true
    await Promise.all([...this.#readings.values()].map(({ work }) => work))
    this.#group.leave(this)
    for (const reading of this.#readings.values()) this.#revoke(reading)
  }

  async commit(assignment: Assignment, checkpoint: Checkpoint): Promise<boolean> {
    const reading = this.#reading(assignment)
    if (!reading.mine || reading.epoch !== assignment.epoch) return false
    if (this.#settings.group === undefined) return false
    this.#group.commit(reading, checkpoint)
    return true
  }

  pause(topic: string, partition: number): void {
    this.#reading({ topic, partition }).paused = true
  }

  resume(topic: string, partition: number): void {
    const reading = this.#reading({ topic, partition })
    reading.paused = false
    this.#read(reading)
  }

  rebalanced(assignment: readonly TopicPartition[]): void {
    const mine = new Set(assignment.map((place) => this.#reading(place)))
    for (const reading of this.#readings.values()) if (!mine.has(reading)) this.#revoke(reading)
    for (const reading of mine) {
      reading.mine = true
      reading.ready = false
      reading.epoch++
      this.#assign(reading).catch((error: unknown) => this.#fail(error))
    }
  }

  #revoke(reading: Reading): void {
    if (!reading.mine) return
    reading.mine = reading.ready = reading.paused = false
    reading.epoch++
    reading.stopListening()
    this.#settings.handler.revoked(reading.topic, reading.partition)
  }

  async #assign(reading: Reading): Promise<void> {
    const { topic, partition, epoch } = reading
    await reading.work
    if (reading.epoch !== epoch) return
    const checkpoints =
      this.#settings.group === undefined ? new Map() : this.#group.committed(topic)
    const committed: Checkpoint | undefined = checkpoints.get(partition)
    const wanted = await this.#settings.handler.assigned({ topic, partition, epoch, committed })
    if (reading.epoch !== epoch) return
    const log = this.#server.partition(topic, partition)
    reading.position = Math.min(Math.max(wanted, log.earliest), log.end)
    reading.ready = true
    reading.stopListening()
    reading.stopListening = log.onAppend(() => this.#read(reading))
    this.#read(reading)
  }

  /** Hands out the next batch, if there is one and the last was taken; then looks again. */
  #read(reading: Reading): void {
    if (reading.busy || !reading.mine || !reading.ready || reading.paused) return
    const log = this.#server.partition(reading.topic, reading.partition)
    const records = log.read(reading.position, BATCH_RECORDS_MAX)
    const last = records.at(-1)
    if (last === undefined) return
    const { epoch } = reading
    reading.busy = true
    reading.work = this.#settings.handler
      .batch(memoryBatch(reading, records, log.end))
      .then(() => {
        if (reading.epoch === epoch) reading.position = last.offset + 1
      })
      .catch((error: unknown) => {
        reading.paused = true
        this.#fail(error)
      })
      .finally(() => {
        reading.busy = false
        setImmediate(() => this.#read(reading))
      })
  }

  #reading({ topic, partition }: TopicPartition): Reading {
    const key = `${topic}/${partition}`
    let reading = this.#readings.get(key)
    if (reading === undefined) {
      reading = {
        topic,
        partition,
        epoch: 0,
        mine: false,
        ready: false,
        paused: false,
        busy: false,
        position: 0,
        work: Promise.resolve(),
        stopListening: () => undefined,
      }
      this.#readings.set(key, reading)
    }
    return reading
  }
}

function memoryBatch(
  { topic, partition }: TopicPartition,
  records: readonly StoredRecord[],
  endOffset: number,
): LogBatch {
  const bytesOf = ({ key, value }: StoredRecord) => (key?.length ?? 0) + (value?.length ?? 0)
  // One object that moves, as in the real log: who keeps it sees it change.
  const moving: LogRecord = { offset: -1, timestampMs: 0, key: null, value: null, headers: {} }
  return {
    topic,
    partition,
    firstOffset: records[0]?.offset ?? endOffset,
    lastOffset: records.at(-1)?.offset ?? endOffset - 1,
    endOffset,
    bytes: records.reduce((sum, record) => sum + bytesOf(record), 0),
    forEach: (visit) => {
      for (const record of records) visit(Object.assign(moving, record))
    },
  }
}
