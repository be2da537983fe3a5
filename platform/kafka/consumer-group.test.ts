/** What members of a group keep, and how soon others have what a dead one had. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { PartitionAssigner } from 'kafkajs'
import { systemClock } from '../clock.ts'
import { Failure } from '../failure.ts'
import type { ChildSpec } from '../lifecycle/child-spec.ts'
import type { LastWill } from '../lifecycle/last-will.ts'
import { Supervisor } from '../lifecycle/supervisor.ts'
import { CONNECT_RETRIES, createKafkaClient } from './kafkajs-client.ts'
import { createKafkaLog } from './kafkajs-log.ts'
import { executeMembershipWill, membershipWill } from './leave-group.ts'
import type { Assignment, LogConsumer, LogConsumerHandler } from './log.ts'
import { openKafka } from './testing/kafka-fixture.ts'

const PARTITIONS = 8
const DRAIN_MS = 5_000
/** What Kafka waits for a member that says nothing (kafkajs-consumer.ts). */
const SESSION_TIMEOUT_MS = 10_000

const kafka = await openKafka()
const { brokers, log, admin, metrics, logger } = kafka
const topic = await kafka.topic('group', PARTITIONS)
after(() => admin.close())

/** A member that keeps count of what it has. */
class Member implements LogConsumerHandler {
  readonly held = new Set<number>()
  /** Partitions that it was given without having them. */
  gained = 0
  readonly #consumer: LogConsumer
  #waiting: { until: () => boolean; resolve: () => void }[] = []

  constructor(group: string, name: string) {
    this.#consumer = log.consumer({ name, group, topics: [topic], handler: this })
  }

  assigned = async ({ partition, committed }: Assignment): Promise<number> => {
    if (!this.held.has(partition)) this.gained += 1
    this.held.add(partition)
    this.#look()
    return committed?.offset ?? 0
  }

  revoked = (_topic: string, partition: number): void => {
    this.held.delete(partition)
    this.#look()
  }

  batch = async (): Promise<void> => {}

  start(): Promise<void> {
    return this.#consumer.start()
  }

  leave(): Promise<void> {
    return this.#consumer.drain(DRAIN_MS)
  }

  holds(count: number): Promise<void> {
    const until = (): boolean => this.held.size === count
    return new Promise((resolve) => {
      this.#waiting.push({ until, resolve })
      this.#look()
    })
  }

  #look(): void {
    for (const { until, resolve } of this.#waiting) if (until()) resolve()
    this.#waiting = this.#waiting.filter(({ until }) => !until())
  }
}

async function joined(group: string, name: string): Promise<Member> {
  const member = new Member(group, name)
  await member.start()
  return member
}

test('a member that joins takes its share, one that leaves gives its own, and nothing else moves', async () => {
  const group = `${topic}-sticky`
  const first = await joined(group, 'first')
  await first.holds(8)
  const second = await joined(group, 'second')
  await Promise.all([first.holds(4), second.holds(4)])
  const before = [new Set(first.held), new Set(second.held)]
  const third = await joined(group, 'third')
  await Promise.all([first.holds(3), second.holds(3), third.holds(2)])
  await third.leave()
  await Promise.all([first.holds(4), second.holds(4)])
  assert.deepEqual([first.gained, second.gained, third.gained], [9, 5, 2])
  for (const [at, member] of [first, second].entries()) {
    const kept = [...(before[at] ?? [])].filter((partition) => member.held.has(partition))
    assert(kept.length >= 3, `${kept.length} of 4 stayed`)
  }
  await first.leave()
  await second.holds(8)
  await second.leave()
})

const idle: LogConsumerHandler = {
  assigned: async () => 0,
  revoked: () => undefined,
  batch: async () => undefined,
}

/** A group whose members divide in a way that ours do not know. */
const anotherDivision: PartitionAssigner = () => ({
  name: 'another',
  version: 0,
  protocol: () => ({ name: 'another', metadata: Buffer.alloc(0) }),
  assign: async () => [],
})

function memberProcess(group: string, restart: ChildSpec['restart']): ChildSpec {
  const program = join(import.meta.dirname, 'testing', 'group-member.program.js')
  return {
    id: 'member',
    command: process.execPath,
    args: [program, brokers.join(','), group, topic],
    restart,
    shutdownSignal: 'SIGTERM',
    shutdownMs: DRAIN_MS,
    readiness: { kind: 'ipc' },
    readyMs: 30_000,
  }
}

/** Supervised as in `weir up`; `killed` ends it with -9. */
async function supervised(group: string, restart: ChildSpec['restart']) {
  let ready = 0
  const waiting: (() => void)[] = []
  const supervisor = new Supervisor({
    children: [memberProcess(group, restart)],
    clock: systemClock,
    executeWill: executeMembershipWill,
    onEvent: ({ kind }) => {
      if (kind !== 'ready') return
      ready += 1
      for (const resolve of waiting.splice(0)) resolve()
    },
  })
  await supervisor.start()
  return {
    stop: () => supervisor.drain(DRAIN_MS),
    kill: () => process.kill(supervisor.status()[0]?.pid ?? 0, 'SIGKILL'),
    readyAgain: () =>
      ready > 1 ? Promise.resolve() : new Promise<void>((done) => waiting.push(done)),
  }
}

test('survivors have the partitions of a killed process long before its session is over', async (t) => {
  const group = `${topic}-failover`
  const survivor = await joined(group, 'survivor')
  await survivor.holds(8)
  const other = await supervised(group, 'temporary')
  await survivor.holds(4)
  const startedMs = systemClock.monotonicMs()
  other.kill()
  await survivor.holds(8)
  const tookMs = systemClock.monotonicMs() - startedMs
  t.diagnostic(`taken over ${Math.round(tookMs)} ms after kill -9`)
  assert(tookMs < SESSION_TIMEOUT_MS - 2_000, `${tookMs} ms`)
  await Promise.all([other.stop(), survivor.leave()])
})

test('a killed process that is alone has its partitions again as soon as it is back', async (t) => {
  const alone = await supervised(`${topic}-alone`, 'permanent')
  const startedMs = systemClock.monotonicMs()
  alone.kill()
  await alone.readyAgain()
  const tookMs = systemClock.monotonicMs() - startedMs
  t.diagnostic(`has its partitions again ${Math.round(tookMs)} ms after kill -9`)
  assert(tookMs < SESSION_TIMEOUT_MS - 2_000, `${tookMs} ms`)
  await alone.stop()
})

test('a member of an older version, which knows no stickiness, shares the partitions', async () => {
  const group = `${topic}-mixed`
  const upgraded = await joined(group, 'upgraded')
  await upgraded.holds(8)
  const client = createKafkaClient({ brokers, clientId: 'older', logger }, CONNECT_RETRIES.few)
  const older = client.consumer({ groupId: group, heartbeatInterval: 500, maxWaitTimeInMs: 250 })
  await older.connect()
  await older.subscribe({ topics: [topic], fromBeginning: true })
  await older.run({ eachBatch: async () => {} })
  await upgraded.holds(4)
  await older.disconnect()
  await upgraded.holds(8)
  await upgraded.leave()
})

test('a member that dies while its group still gathers can be taken out of it', async () => {
  const group = `${topic}-gathering`
  const client = createKafkaClient({ brokers, clientId: 'slow', logger }, CONNECT_RETRIES.few)
  const slow = client.consumer({ groupId: group, heartbeatInterval: 1_400, maxWaitTimeInMs: 1_500 })
  await slow.connect()
  await slow.subscribe({ topics: [topic] })
  await slow.run({ eachBatch: async () => {} })
  const ids: string[] = []
  let look: () => void = () => undefined
  const known = (count: number) =>
    new Promise<void>((resolve) => {
      look = () => void (new Set(ids).size >= count && resolve())
      look()
    })
  const wills = {
    declare: (_id: string, will: LastWill | undefined) => {
      const memberId = will?.details['memberId']
      if (memberId !== undefined) ids.push(memberId)
      look()
    },
  }
  const parts = { brokers, clientId: 'dies', logger, metrics, clock: systemClock, wills }
  const handler: LogConsumerHandler = {
    ...idle,
    assigned: async () => {
      ids.push('assigned')
      return 0
    },
  }
  const consumer = createKafkaLog(parts).consumer({ name: 'dies', group, topics: [topic], handler })
  const started = consumer.start()
  await known(1)
  const [memberId = ''] = ids
  assert.deepEqual(ids, [memberId]) // The group has not answered yet.
  await executeMembershipWill(membershipWill({ brokers, group, memberId }))
  // Taken out by what was declared, it has to come anew under another id.
  await known(2)
  assert(ids[1] !== 'assigned' && ids[1] !== memberId)
  await started
  await Promise.all([consumer.drain(DRAIN_MS), slow.disconnect()])
})

test('a consumer that the group refuses for good ends with its failure', async () => {
  const group = `${topic}-refused`
  const client = createKafkaClient({ brokers, clientId: 'stranger', logger }, CONNECT_RETRIES.few)
  const stranger = client.consumer({
    groupId: group,
    partitionAssigners: [anotherDivision],
    maxWaitTimeInMs: 250,
  })
  await stranger.connect()
  await stranger.subscribe({ topics: [topic] })
  await stranger.run({ eachBatch: async () => {} })
  const consumer = log.consumer({ name: 'refused', group, topics: [topic], handler: idle })
  await consumer.start()
  await assert.rejects(
    consumer.failure,
    (error) => error instanceof Failure && /refused ended: .*incompatible/.test(error.message),
  )
  await Promise.all([consumer.drain(DRAIN_MS), stranger.disconnect()])
})

test('a will for a member that is gone already is done; one that nobody hears is not', async () => {
  const gone = { brokers, group: `${topic}-none`, memberId: 'nobody' }
  await executeMembershipWill(membershipWill(gone))
  const nowhere = membershipWill({ ...gone, brokers: ['127.0.0.1:1'] })
  await assert.rejects(
    executeMembershipWill(nowhere),
    (error) => error instanceof Failure && error.code === 'unavailable',
  )
  await executeMembershipWill({ kind: 'somebody else’s', details: {} })
})
