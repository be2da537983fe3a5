import { systemClock } from '../clock.ts'
import { openKafka } from './testing/kafka-fixture.ts'
import { logContract } from './testing/log-contract.ts'
import { MemoryLogServer } from './testing/memory-log-server.ts'
import { createMemoryLog } from './testing/memory-log.ts'

logContract('the log in memory', async () => {
  const server = new MemoryLogServer({ clock: systemClock })
  const log = createMemoryLog({ server, clock: systemClock })
  return { log, namespace: '', close: async () => {} }
})

logContract('the log on Kafka', async () => {
  const { log, namespace, admin } = await openKafka()
  return { log, namespace, close: () => admin.close() }
})
