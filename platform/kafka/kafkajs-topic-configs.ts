/**
 * What the cluster really does with a topic, as opposed to what somebody configured once. Kafka's
 * AlterConfigs, which is all that kafkajs offers, replaces every setting of a topic: what was set
 * before is read and written with it. Two programs that change one topic at once may undo each
 * other; the caller holds a lock.
 */
import type { Logger } from '../observe/logger.ts'
import { Failure } from '../failure.ts'
import { CONNECT_RETRIES, createKafkaClient, kafkaErrorText, noKafka } from './kafkajs-client.ts'

/** Kafka's ConfigResourceType and ConfigSource. */
const TOPIC = 2
const SET_ON_TOPIC = 1

export type KafkaAddress = Readonly<{
  brokers: readonly string[]
  clientId: string
  logger: Logger
}>

type Entry = Readonly<{ name: string; value: string; isOfTopic: boolean }>

/** Every setting in force for the topic, by name. Rejects with `unavailable`. */
export function topicConfig(
  kafka: KafkaAddress,
  topic: string,
): Promise<ReadonlyMap<string, string>> {
  return withAdmin(kafka, async (admin) => {
    const entries = await entriesOf(admin, topic)
    return new Map(entries.map(({ name, value }) => [name, value]))
  })
}

/** Sets what differs and leaves the rest. Resolves with what was in force before, of what changed. */
export function setTopicConfig(
  kafka: KafkaAddress,
  topic: string,
  wanted: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  return withAdmin(kafka, async (admin) => {
    const entries = await entriesOf(admin, topic)
    const changed = entries.filter(({ name, value }) => (wanted[name] ?? value) !== value)
    if (changed.length > 0) {
      const kept = entries.filter(({ isOfTopic }) => isOfTopic)
      const settings = {
        ...Object.fromEntries(kept.map(({ name, value }) => [name, value])),
        ...wanted,
      }
      const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: TOPIC, name: topic, configEntries }],
      })
    }
    return new Map(changed.map(({ name, value }) => [name, value]))
  })
}

type Admin = ReturnType<ReturnType<typeof createKafkaClient>['admin']>

async function entriesOf(admin: Admin, topic: string): Promise<readonly Entry[]> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: TOPIC, name: topic }],
  })
  return resources.flatMap(({ configEntries }) =>
    configEntries.map(({ configName, configValue, configSource }) => {
      const source: number = configSource
      return { name: configName, value: configValue, isOfTopic: source === SET_ON_TOPIC }
    }),
  )
}

async function withAdmin<T>(kafka: KafkaAddress, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = createKafkaClient(kafka, CONNECT_RETRIES.few).admin()
  try {
    await admin.connect()
  } catch (error) {
    throw noKafka(kafka.brokers, error)
  }
  try {
    return await work(admin)
  } catch (error) {
    const text = `settings of a topic were neither read nor changed: ${kafkaErrorText(error)}`
    throw new Failure('unavailable', text, { cause: error })
  } finally {
    await admin.disconnect()
  }
}
