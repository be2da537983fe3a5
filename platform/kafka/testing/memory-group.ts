/** A consumer group in memory: who has which partition, and what was committed. */
import type { Checkpoint } from '../log.ts'

export type MemoryMember = Readonly<{
  topics: readonly string[]
  /** The new whole assignment, after every change in the group. */
  rebalanced(assignment: readonly TopicPartition[]): void
}>
export type TopicPartition = Readonly<{ topic: string; partition: number }>

export class MemoryGroup {
  readonly #members = new Set<MemoryMember>()
  readonly #checkpoints = new Map<string, Map<number, Checkpoint>>()
  readonly #partitionCount: (topic: string) => number

  constructor(partitionCount: (topic: string) => number) {
    this.#partitionCount = partitionCount
  }

  join(member: MemoryMember): void {
    this.#members.add(member)
    this.#rebalance()
  }

  leave(member: MemoryMember): void {
    if (this.#members.delete(member)) this.#rebalance()
  }

  committed(topic: string): Map<number, Checkpoint> {
    return new Map(this.#checkpoints.get(topic))
  }

  commit({ topic, partition }: TopicPartition, checkpoint: Checkpoint): void {
    const checkpoints = this.#checkpoints.get(topic) ?? new Map<number, Checkpoint>()
    checkpoints.set(partition, checkpoint)
    this.#checkpoints.set(topic, checkpoints)
  }

  /** Round robin over the members that read the topic. All lose first, then all get. */
  #rebalance(): void {
    const shares = new Map<MemoryMember, TopicPartition[]>()
    for (const member of this.#members) shares.set(member, [])
    const topics = new Set([...this.#members].flatMap((member) => member.topics))
    for (const topic of topics) {
      const readers = [...this.#members].filter((member) => member.topics.includes(topic))
      for (let partition = 0; partition < this.#partitionCount(topic); partition++) {
        const reader = readers[partition % readers.length]
        if (reader !== undefined) shares.get(reader)?.push({ topic, partition })
      }
    }
    for (const [member, share] of shares) member.rebalanced(share)
  }
}
