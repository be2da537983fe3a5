/** A log on the tests' Kafka, under names of their own, with the errors that it logs. */
import { testStack } from '../../../test/stack.ts'
import { systemClock } from '../../clock.ts'
import type { Logger } from '../../observe/logger.ts'
import { Metrics } from '../../observe/metrics.ts'
import { createKafkaLog } from '../kafkajs-log.ts'
import type { Log, LogAdmin } from '../log.ts'

/** Keeps the messages of errors, drops the rest, and lets tests wait. */
export class ErrorKeeper {
  readonly errors: string[] = []
  readonly logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (message) => {
      this.errors.push(message)
      for (const look of this.#waiting) look()
    },
    with: () => this.logger,
  }
  readonly #waiting = new Set<() => void>()

  /** The errors since the last call. */
  take(): string[] {
    return this.errors.splice(0)
  }

  /** Resolves once so many errors are kept. */
  count(errors: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.errors.length < errors) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}

export type KafkaFixture = Readonly<{
  brokers: readonly string[]
  namespace: string
  log: Log
  admin: LogAdmin
  metrics: Metrics
  logger: Logger
  kept: ErrorKeeper
  /** A topic of the namespace; answers its full name. */
  topic(name: string, partitions: number): Promise<string>
}>

/** `through` answers the brokers to use instead. The caller closes `admin`. */
export async function openKafka(
  through: (brokers: readonly string[]) => Promise<readonly string[]> = async (brokers) => brokers,
): Promise<KafkaFixture> {
  const { kafka, namespace } = await testStack()
  const brokers = await through(kafka.brokers)
  const kept = new ErrorKeeper()
  const { logger } = kept
  const metrics = new Metrics({ role: 'test', processMetrics: false })
  const log = createKafkaLog({ brokers, clientId: 'test', logger, metrics, clock: systemClock })
  const admin = log.admin()
  const topic = async (name: string, partitions: number): Promise<string> => {
    const shape = { name: `${namespace}${name}`, partitions, replicationFactor: 1, config: {} }
    await admin.ensureTopics([shape])
    return shape.name
  }
  return { brokers, namespace, log, admin, metrics, logger, kept, topic }
}
