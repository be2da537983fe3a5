/** Everything that is in a topic now, partition by partition. */
import type { Log, LogRecord } from '../platform/kafka/log.ts'

export async function readTopic(log: Log, topic: string): Promise<LogRecord[]> {
  const admin = log.admin()
  const ranges = await admin.offsetRange(topic)
  await admin.close()
  const filled = [...ranges].filter(([, { earliest, end }]) => end > earliest)
  const missing = new Set(filled.map(([partition]) => partition))
  if (missing.size === 0) return []
  const records = new Map<number, LogRecord[]>(filled.map(([partition]) => [partition, []]))
  let finish: () => void = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  const consumer = log.consumer({
    name: 'test-reader',
    group: undefined,
    topics: [topic],
    handler: {
      assigned: async ({ partition }) => ranges.get(partition)?.earliest ?? 0,
      revoked: () => {},
      batch: async (batch) => {
        batch.forEach((record) => records.get(batch.partition)?.push(copyOf(record)))
        if (batch.lastOffset + 1 >= (ranges.get(batch.partition)?.end ?? 0)) {
          missing.delete(batch.partition)
        }
        if (missing.size === 0) finish()
      },
    },
  })
  await consumer.start()
  await Promise.race([done, consumer.failure])
  await consumer.drain(2_000)
  return [...records.values()].flat()
}

/** The log hands out one object that moves over its buffer. */
const copyOf = (record: LogRecord): LogRecord => ({
  offset: record.offset,
  timestampMs: record.timestampMs,
  key: record.key === null ? null : Buffer.from(record.key),
  value: record.value === null ? null : Buffer.from(record.value),
  headers: Object.fromEntries(
    Object.entries(record.headers).map(([name, value]) => [name, Buffer.from(value)]),
  ),
})
