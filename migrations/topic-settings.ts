/**
 * Brings the settings of a topic that exists already to what its definition says, as far as that
 * takes nothing away: records are never kept for a shorter time, and never refused for their size,
 * because of it.
 */
import {
  type KafkaAddress,
  setTopicConfig,
  topicConfig,
} from '../platform/kafka/kafkajs-topic-configs.ts'

export type SettingChange = Readonly<{
  topic: string
  name: string
  value: string
  before: string
}>

/** Somebody may have raised these on purpose; they are raised, and never lowered. */
const RAISED_ONLY = new Set(['retention.ms', 'max.message.bytes'])
/** Safe at any time: they decide about records and segments to come. */
const SET_ALWAYS = new Set(['message.timestamp.type', 'segment.ms'])

/** Resolves with what was changed. The caller holds the migration lock. */
export async function bringTopicUpToDate(
  kafka: KafkaAddress,
  topic: string,
  defined: Readonly<Record<string, string>>,
): Promise<readonly SettingChange[]> {
  const present = await topicConfig(kafka, topic)
  const wanted = Object.entries(defined).filter(([name, value]) => {
    const before = present.get(name)
    if (before === undefined) return false
    return SET_ALWAYS.has(name) || (RAISED_ONLY.has(name) && isMore(value, before))
  })
  const changed = await setTopicConfig(kafka, topic, Object.fromEntries(wanted))
  return wanted.flatMap(([name, value]) => {
    const before = changed.get(name)
    return before === undefined ? [] : [{ topic, name, value, before }]
  })
}

/** A negative number is Kafka's word for no limit. */
const isMore = (value: string, before: string): boolean => amount(value) > amount(before)

const amount = (text: string): number => (Number(text) < 0 ? Infinity : Number(text))
