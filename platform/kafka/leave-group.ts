/**
 * Leaving a consumer group for a member that was killed. Kafka gives a silent member the whole
 * session timeout before its partitions go to others; whoever saw it die need not wait. A consumer
 * declares its membership as a last will, and the supervisor's owner passes dead ones to us.
 */
import type { Kafka } from 'kafkajs'
import { Failure } from '../failure.ts'
import type { LastWill } from '../lifecycle/last-will.ts'
import type { Logger } from '../observe/logger.ts'
import {
  before,
  CONNECT_RETRIES,
  createKafkaClient,
  kafkaErrorText,
  kafkaErrorType,
} from './kafkajs-client.ts'
import { requireKafkajs } from './kafkajs-replacements.ts'

const KIND = 'leave_kafka_group'
const DEADLINE_MS = 10_000
/** What kafkajs says of its attempts: how they end is told by executeMembershipWill(). */
const ATTEMPTS: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => ATTEMPTS,
}

export type Membership = Readonly<{ brokers: readonly string[]; group: string; memberId: string }>

/** To be executed with executeMembershipWill() by whoever outlives the member. */
export function membershipWill({ brokers, group, memberId }: Membership): LastWill {
  return { kind: KIND, details: { brokers: brokers.join(','), group, memberId } }
}

/** executeMembershipWill(), with the client loaded now: at a death every moment counts. */
export function membershipExecutor(): (will: LastWill) => Promise<void> {
  requireKafkajs()
  return executeMembershipWill
}

/**
 * Executes a will of membershipWill(); wills of another kind are somebody else's. Rejects with
 * `unavailable` when Kafka did not confirm within 10 s; the member expires by itself then.
 */
export async function executeMembershipWill(will: LastWill): Promise<void> {
  const { brokers, group, memberId } = will.details
  if (will.kind !== KIND) return
  if (brokers === undefined || group === undefined || memberId === undefined) {
    throw new Failure('internal', 'a membership will names brokers, group and member')
  }
  const kafka = createKafkaClient(
    { brokers: brokers.split(','), clientId: 'weir-supervisor', logger: ATTEMPTS },
    CONNECT_RETRIES.few,
  )
  const cluster = clusterOf(kafka)
  let left = false
  try {
    const leaving = leave(cluster, group, memberId).then(() => (left = true))
    await before(DEADLINE_MS, leaving)
    if (!left) throw new Error('no answer in time')
  } catch (error) {
    const text = `${memberId} could not be taken out of ${group}: ${kafkaErrorText(error)}`
    throw new Failure('unavailable', text, { cause: error })
  } finally {
    await before(1_000, cluster.disconnect()).catch(() => undefined)
  }
}

type GroupMember = Readonly<{ groupId: string; memberId: string }>
type Cluster = Readonly<{
  connect(): Promise<void>
  disconnect(): Promise<void>
  findGroupCoordinator(
    of: Readonly<{ groupId: string }>,
  ): Promise<Readonly<{ leaveGroup(member: GroupMember): Promise<unknown> }>>
}>

async function leave(cluster: Cluster, groupId: string, memberId: string): Promise<void> {
  await cluster.connect()
  const coordinator = await cluster.findGroupCoordinator({ groupId })
  try {
    await coordinator.leaveGroup({ groupId, memberId })
  } catch (error) {
    // It is gone already, which is what was wanted.
    if (kafkaErrorType(error) !== 'UNKNOWN_MEMBER_ID') throw error
  }
}

/** kafkajs makes a cluster per producer, consumer and admin; none of them leaves for another. */
function clusterOf(kafka: Kafka): Cluster {
  const maker = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  // `as`: kafkajs publishes no types for its inner parts; its version is pinned.
  const make = maker && (kafka as unknown as Record<symbol, (options: object) => Cluster>)[maker]
  if (make === undefined) throw new Error('this kafkajs has no private:Kafka:createCluster')
  return make({ metadataMaxAge: 300_000, allowAutoTopicCreation: false })
}
