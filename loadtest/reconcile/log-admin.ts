/** A Kafka administrator for the time of one piece of work. */
import { systemClock } from '../../platform/clock.ts'
import { createKafkaLog } from '../../platform/kafka/kafkajs-log.ts'
import type { LogAdmin } from '../../platform/kafka/log.ts'
import { createLogger } from '../../platform/observe/json-logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'

export async function withLogAdmin<T>(
  brokers: readonly string[],
  work: (admin: LogAdmin) => Promise<T>,
): Promise<T> {
  const admin = createKafkaLog({
    brokers,
    clientId: 'weir-loadtest',
    clock: systemClock,
    metrics: new Metrics({ role: 'loadtest', processMetrics: false }),
    logger: createLogger({
      level: 'error',
      format: 'text',
      clock: systemClock,
      write: (line) => process.stderr.write(line),
    }),
  }).admin()
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}
