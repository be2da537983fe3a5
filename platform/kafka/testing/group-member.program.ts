/**
 * A member of a consumer group as a process of its own, for tests that kill it:
 * `group-member.program.js BROKERS GROUP TOPIC`. Ready once it has partitions.
 */
import { systemClock } from '../../clock.ts'
import type { RoleMessage } from '../../lifecycle/ipc-messages.ts'
import { createLogger } from '../../observe/json-logger.ts'
import { Metrics } from '../../observe/metrics.ts'
import { createKafkaLog } from '../kafkajs-log.ts'

const [brokers = '', group = '', topic = ''] = process.argv.slice(2)
const tell = (message: RoleMessage): void => void process.send?.(message)

const log = createKafkaLog({
  brokers: brokers.split(','),
  clientId: 'member',
  logger: createLogger({
    level: 'error',
    format: 'json',
    clock: systemClock,
    write: (line) => process.stderr.write(line),
  }),
  metrics: new Metrics({ role: 'test', processMetrics: false }),
  clock: systemClock,
  wills: { declare: (id, will) => tell({ type: 'last_will', id, will: will ?? null }) },
})
const consumer = log.consumer({
  name: 'member',
  group,
  topics: [topic],
  handler: {
    assigned: async ({ committed }) => {
      tell({ type: 'ready', role: 'member', addresses: {} })
      return committed?.offset ?? 0
    },
    revoked: () => undefined,
    batch: async () => undefined,
  },
})
process.once('disconnect', () => process.exit(1))
process.once('SIGTERM', () => void consumer.drain(5_000).then(() => process.exit(0)))
setInterval(() => tell({ type: 'heartbeat', eventLoopDelayMs: 0 }), 1_000)
await consumer.start()
