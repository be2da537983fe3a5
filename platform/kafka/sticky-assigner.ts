/**
 * sticky-assignment.ts in the words of kafkajs: each member says in the user data of its
 * JoinGroup who it is and what it holds, and the leader divides by that.
 */
import type { AssignerProtocol, Cluster, PartitionAssigner } from 'kafkajs'
import { assignSticky, type GroupMember, type TopicPartition } from './sticky-assignment.ts'

/** Members agree on a protocol by its name: another division needs another name. */
const NAME = 'weir-sticky-1'
const VERSION = 0

/** What a member says of itself when it joins. */
export type Claims = Readonly<{
  instance: string
  generation: number
  holds: readonly TopicPartition[]
}>

/** `claims` is asked at every join; `joins` is handed what is then sent to the group. */
export function stickyAssigner(
  protocol: typeof AssignerProtocol,
  claims: () => Claims,
  joins: (metadata: Buffer) => void,
): PartitionAssigner {
  const { MemberMetadata, MemberAssignment } = protocol
  return ({ cluster }) => ({
    name: NAME,
    version: VERSION,
    protocol: ({ topics }) => {
      const userData = encodeClaims(claims())
      const metadata = MemberMetadata.encode({ version: VERSION, topics, userData })
      joins(metadata)
      return { name: NAME, metadata }
    },
    assign: async ({ members, topics }) => {
      const known = members.map(({ memberId, memberMetadata }): GroupMember => {
        const metadata = MemberMetadata.decode(memberMetadata)
        const said = decodeClaims(metadata?.userData ?? Buffer.alloc(0), memberId)
        return { id: memberId, topics: metadata?.topics ?? [], ...said }
      })
      const assigned = assignSticky(known, partitionsOf(cluster, topics))
      return [...assigned].map(([memberId, places]) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({
          version: VERSION,
          assignment: byTopic(places),
          userData: Buffer.alloc(0),
        }),
      }))
    },
  })
}

function partitionsOf(cluster: Cluster, topics: readonly string[]): TopicPartition[] {
  return topics.flatMap((topic) =>
    cluster
      .findTopicPartitionMetadata(topic)
      .map(({ partitionId }) => ({ topic, partition: partitionId })),
  )
}

function byTopic(places: readonly TopicPartition[]): Record<string, number[]> {
  const partitions: Record<string, number[]> = {}
  for (const { topic, partition } of places) (partitions[topic] ??= []).push(partition)
  return partitions
}

function encodeClaims({ instance, generation, holds }: Claims): Buffer {
  return Buffer.from(JSON.stringify({ instance, generation, holds: byTopic(holds) }))
}

/** A member that says nothing readable holds nothing: that costs it a replay, nobody a record. */
export function decodeClaims(userData: Buffer, memberId: string): Claims {
  const said = parsed(userData)
  const { instance, generation, holds } = said
  return {
    instance: typeof instance === 'string' ? instance : memberId,
    generation: typeof generation === 'number' ? generation : 0,
    holds: isRecord(holds) ? Object.entries(holds).flatMap(placesOf) : [],
  }
}

function placesOf([topic, partitions]: [string, unknown]): TopicPartition[] {
  if (!Array.isArray(partitions)) return []
  const numbers = partitions.filter((each): each is number => Number.isSafeInteger(each))
  return numbers.map((partition) => ({ topic, partition }))
}

function parsed(userData: Buffer): Record<string, unknown> {
  try {
    const said: unknown = JSON.parse(userData.toString('utf8'))
    return isRecord(said) ? said : {}
  } catch {
    return {} // A member of another make.
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
