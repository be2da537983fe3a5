/** What Kafka says of the offsets of a topic that is read: what it holds and what was committed. */
import { setTimeout as pauseFor } from 'node:timers/promises'
import type { ConsumerMeter } from './consumer-meter.ts'
import type { KafkaAdmin, OffsetRange } from './kafkajs-admin.ts'
import { before } from './kafkajs-client.ts'
import type { Checkpoint } from './log.ts'
import type { PartitionReading } from './partition-reading.ts'
import type { TopicPartition } from './sticky-assignment.ts'

const RETRY_MS = 250
/** While one partition is asked for, the others of its fetch wait, and so do the heartbeats. */
const RANGE_MS_MAX = 3_000

export class ReadingOffsets {
  readonly #admin: KafkaAdmin
  readonly #meter: ConsumerMeter
  readonly #group: string | undefined

  /** `group` undefined: a private reader, which commits nothing. */
  constructor(admin: KafkaAdmin, meter: ConsumerMeter, group: string | undefined) {
    this.#admin = admin
    this.#meter = meter
    this.#group = group
  }

  /** Asks until Kafka answers; undefined when nobody needs it any more. */
  async ofTopic(topic: string, isNeeded: () => boolean) {
    const group = this.#group
    while (isNeeded()) {
      try {
        const [committed, range] = await Promise.all([
          group === undefined ? new Map<number, Checkpoint>() : this.#admin.committed(group, topic),
          this.#admin.offsetRange(topic),
        ])
        return { committed, range }
      } catch (error) {
        this.#meter.noOffsets(topic, error)
        await pauseFor(RETRY_MS)
      }
    }
    return undefined
  }

  /** undefined where Kafka does not say in time. */
  async rangeOf({ topic, partition }: TopicPartition): Promise<OffsetRange | undefined> {
    let range: OffsetRange | undefined
    const asked = this.#admin.offsetRange(topic).then(
      (ranges) => void (range = ranges.get(partition)),
      (error: unknown) => this.#meter.noOffsets(topic, error),
    )
    await before(RANGE_MS_MAX, asked)
    return range
  }

  /** The nearest offset that the log has. kafkajs would jump there as well, without a word. */
  within(state: PartitionReading, wanted: number, range: OffsetRange | undefined): number {
    if (range === undefined) return wanted
    if (wanted < range.earliest) {
      // Also of a group that never committed, or whose commits have expired: it asks for the
      // beginning, and what is gone from there it will never see.
      if (this.#group !== undefined) this.#meter.gap(state, wanted, range.earliest)
      return range.earliest
    }
    if (wanted > range.end) {
      this.#meter.gap(state, wanted, range.end)
      return range.end
    }
    return wanted
  }
}
