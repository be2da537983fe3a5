/** Everything that is in a topic now, as a program that knows nothing of ours would read it. */
import { systemClock } from '../platform/clock.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Metrics } from '../platform/observe/metrics.ts'

export type LoggedValue = Readonly<{ key: string | undefined; value: Buffer }>

/** Records with a value, partition by partition. */
export async function readTopic(
  brokers: readonly string[],
  topic: string,
): Promise<readonly LoggedValue[]> {
  const log = createKafkaLog({
    brokers,
    clientId: 'weir-test',
    clock: systemClock,
    metrics: new Metrics({ role: 'test', processMetrics: false }),
    logger: createLogger({
      level: 'error',
      format: 'text',
      clock: systemClock,
      write: (line) => process.stderr.write(line),
    }),
  })
  const admin = log.admin()
  const ranges = await admin.offsetRange(topic)
  await admin.close()
  const open = new Set(
    [...ranges].filter(([, { earliest, end }]) => end > earliest).map(([p]) => p),
  )
  const records: LoggedValue[] = []
  await new Promise<void>((resolve, reject) => {
    if (open.size === 0) return resolve()
    const consumer = log.consumer({
      name: 'test-reader',
      group: undefined,
      topics: [topic],
      handler: {
        assigned: ({ partition }) => Promise.resolve(ranges.get(partition)?.earliest ?? 0),
        revoked() {},
        batch(batch) {
          batch.forEach(({ key, value }) => {
            if (value !== null) records.push({ key: key?.toString(), value: Buffer.from(value) })
          })
          if (batch.lastOffset + 1 >= (ranges.get(batch.partition)?.end ?? 0)) {
            open.delete(batch.partition)
          }
          if (open.size === 0) setImmediate(() => void consumer.drain(1000).then(resolve, reject))
          return Promise.resolve()
        },
      },
    })
    consumer.failure.catch(reject)
    consumer.start().catch(reject)
  })
  return records
}
