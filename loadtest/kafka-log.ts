/** Kafka for tools: what goes wrong is told on standard error, and nobody asks for metrics. */
import { systemClock } from '../platform/clock.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import type { Log, LogAdmin } from '../platform/kafka/log.ts'
import { createLogger } from '../platform/observe/json-logger.ts'
import { Metrics } from '../platform/observe/metrics.ts'

export function kafkaLog(brokers: readonly string[]): Log {
  return createKafkaLog({
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
  })
}

/** An administrator for the time of one piece of work. */
export async function withLogAdmin<T>(log: Log, work: (admin: LogAdmin) => Promise<T>): Promise<T> {
  const admin = log.admin()
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}
