import { testStack } from '../../test/stack.ts'
import { systemClock } from '../clock.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { createKafkaLog } from './kafkajs-log.ts'
import { logContract } from './testing/log-contract.ts'
import { MemoryLogServer } from './testing/memory-log-server.ts'
import { createMemoryLog } from './testing/memory-log.ts'

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silent,
}

logContract('the log in memory', async () => {
  const server = new MemoryLogServer({ clock: systemClock })
  const log = createMemoryLog({ server, clock: systemClock })
  return { log, namespace: '', close: async () => {} }
})

logContract('the log on Kafka', async () => {
  const { kafka, namespace } = await testStack()
  const metrics = new Metrics({ role: 'test', processMetrics: false })
  const log = createKafkaLog({
    brokers: kafka.brokers,
    clientId: 'contract',
    logger: silent,
    metrics,
    clock: systemClock,
  })
  return { log, namespace, close: async () => {} }
})
