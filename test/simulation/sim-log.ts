/** The log ports of one simulated process: writers whose requests take their time, and an admin. */
import { Failure } from '../../platform/failure.ts'
import type { Log, LogAdmin, LogWriter, OutgoingRecord } from '../../platform/kafka/log.ts'
import { type ConsumerWorld, SimConsumer } from './sim-consumer.ts'
import type { SimGroup } from './sim-group.ts'
import type { SimLogServer } from './sim-log-server.ts'

export type LogWorld = ConsumerWorld &
  Readonly<{
    server: SimLogServer
    group: SimGroup
    /** A record reached the log; its append time is the world's business. */
    append: (topic: string, partition: number, record: OutgoingRecord) => void
    /** Whether writers refuse more work for a while. */
    writersFull: () => boolean
    /** The failure as the modules under test know it. */
    unavailable: (what: string) => Error
  }>

export function simLog(world: LogWorld): Log {
  return {
    writer: ({ name }) => simWriter(world, name),
    consumer: ({ topics, handler }) =>
      new SimConsumer(world, world.server.partitions(topics[0] ?? ''), handler),
    admin: () => simAdmin(world),
  }
}

function simWriter(world: LogWorld, name: string): LogWriter {
  const { scheduler, owner, append } = world
  /** One request in flight per partition keeps the order of calls. */
  const queues = new Map<string, Promise<void>>()
  let closed = false

  function send(topic: string, partition: number, record: OutgoingRecord): Promise<void> {
    return new Promise((resolve) => {
      const store = (): void => append(topic, partition, record)
      const run = (): void => {
        store()
        // The answer got lost, and an old broker takes the repetition for another record.
        if (world.troubled() && scheduler.random.chance(0.2)) store()
        resolve()
      }
      scheduler.post({ owner, what: `appends to ${topic}/${partition}`, run, orphan: store })
    })
  }

  return {
    name,
    // One of its own: who waits for it hangs on to it.
    failure: new Promise<never>(() => {}),
    queuedBytes: 0,
    start: async () => {},
    drain: async () => {
      closed = true
      await Promise.all(queues.values())
    },
    append(topic, partition, record) {
      if (closed) return Promise.reject(new Failure('shutting_down', 'the log writer is closed'))
      const key = `${topic}/${partition}`
      const copy = copyOf(record)
      const sent = (queues.get(key) ?? Promise.resolve()).then(() => send(topic, partition, copy))
      queues.set(key, sent)
      return sent
    },
    hasRoom: () => !world.writersFull(),
    room: () => scheduler.ask(owner, 'has room again', () => undefined),
  }
}

const copied = (bytes: Buffer | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes))
const copyOf = ({ key, value, headers }: OutgoingRecord): OutgoingRecord => ({
  key: copied(key),
  value: copied(value),
  headers: headers ?? {},
})

function simAdmin(world: LogWorld): LogAdmin {
  const { scheduler, owner, server, group, unavailable } = world

  /** Answers at once, in its turn, or not this time. */
  async function answer<T>(what: string, read: () => T): Promise<T> {
    if (!world.troubled()) return read()
    return scheduler.ask(owner, what, () => {
      if (scheduler.random.chance(0.3)) throw unavailable(what)
      return read()
    })
  }

  return {
    ensureTopics: async () => {},
    partitionCount: async (topic) => server.partitions(topic).length,
    committed: () => answer('asks for commits', () => group.allCommitted()),
    offsetsAt: (topic, timestampMs) =>
      answer('asks for offsets by time', () => {
        const all = server
          .partitions(topic)
          .map((p) => [p.partition, p.offsetAt(timestampMs)] as const)
        return new Map(all)
      }),
    offsetRange: (topic) =>
      answer('asks for the range of the log', () => {
        const all = server.partitions(topic).map(({ partition, earliest, end }) => {
          return [partition, { earliest, end }] as const
        })
        return new Map(all)
      }),
    deleteRecords: async () => {
      throw new Error('the rollup deletes no records')
    },
    close: async () => {},
  }
}
