/**
 * The coordinator of the consumer group: who is a member, who owns which partition, and what was
 * committed. Rebalances are eager and reach members one by one, so that owners overlap; a member
 * that was left out goes on until it hears of it.
 */
import type { Checkpoint } from '../../platform/kafka/log.ts'
import type { Random } from './random.ts'

export interface SimMember {
  readonly name: string
  /** The whole new assignment; it will arrive there in its turn. */
  assign(generation: number, partitions: readonly number[]): void
  /** The group went on without this member; it may or may not hear of it. */
  expel(): void
}

export type CommitAnswer = 'stored' | 'refused'

export type GroupOptions = Readonly<{
  random: Random
  partitions: number
  /** Whether commits of former generations are refused, as brokers do, or arrive all the same. */
  fenced: boolean
  stored: (partition: number, checkpoint: Checkpoint) => void
}>

export class SimGroup {
  readonly #options: GroupOptions
  readonly #committed = new Map<number, Checkpoint>()
  readonly #history: Checkpoint[][]
  readonly #members = new Set<SimMember>()
  #generation = 0

  constructor(options: GroupOptions) {
    this.#options = options
    this.#history = Array.from({ length: options.partitions }, () => [])
  }

  committed(partition: number): Checkpoint | undefined {
    return this.#committed.get(partition)
  }

  allCommitted(): Map<number, Checkpoint> {
    return new Map(this.#committed)
  }

  commit(generation: number, partition: number, checkpoint: Checkpoint): CommitAnswer {
    if (this.#options.fenced && generation !== this.#generation) return 'refused'
    this.#committed.set(partition, checkpoint)
    this.#history[partition]?.push(checkpoint)
    this.#options.stored(partition, checkpoint)
    return 'stored'
  }

  leave(member: SimMember): void {
    this.#members.delete(member)
  }

  /** These are the members from now on; everybody else is a zombie until it joins again. */
  rebalance(members: readonly SimMember[]): void {
    this.#generation += 1
    for (const former of this.#members) if (!members.includes(former)) former.expel()
    this.#members.clear()
    const shares = new Map<SimMember, number[]>(members.map((member) => [member, []]))
    for (let partition = 0; partition < this.#options.partitions; partition += 1) {
      const owner = this.#options.random.some(members)
      if (owner !== undefined) shares.get(owner)?.push(partition)
    }
    for (const [member, partitions] of shares) {
      this.#members.add(member)
      member.assign(this.#generation, partitions)
    }
  }

  /** An operator, or a lost tail of the offsets topic, brings an older commit back. */
  regress(partition: number): boolean {
    const older = this.#options.random.some(this.#history[partition] ?? [])
    if (older === undefined) return false
    this.#committed.set(partition, older)
    return true
  }

  /** The metadata beside the committed offset becomes something else. */
  garble(partition: number, metadata: string): boolean {
    const committed = this.#committed.get(partition)
    if (committed === undefined) return false
    this.#committed.set(partition, { offset: committed.offset, metadata })
    return true
  }

  /** The group's offsets expire. */
  forget(partition: number): boolean {
    return this.#committed.delete(partition)
  }
}
