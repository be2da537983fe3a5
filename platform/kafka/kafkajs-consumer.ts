/**
 * LogConsumer on kafkajs. What kafkajs lacks and this adds:
 *
 *   - A partition is read only after its owner said where from, at every rebalance: kafkajs itself
 *     would fall back to the committed offset, which is held back here.
 *   - A slow owner stops its own partition. kafkajs waits for all batches of a fetch before the
 *     next; here a batch that takes longer than SLOW_BATCH_MS is left behind with its partition
 *     paused, so that fetching and heartbeats go on.
 *   - Where small batches follow each other, a fetch waits FETCH_GAP_MS for the next ones to gather:
 *     it costs as much as a hundred records. The first record after a silence does not wait.
 *   - Commits carry the epoch of the assignment they belong to; older ones are dropped.
 *   - Through a rebalance members keep what they have (sticky-assignment.ts), and a member that is
 *     killed is taken out of the group at once by whoever sees it die (leave-group.ts).
 *   - Bytes that are not what Kafka stored are fetched again; where that does not help, their
 *     partition rests and says so, and the others go on.
 *   - Lost offsets (retention was faster than us) are counted and logged, never skipped silently.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pauseFor } from 'node:timers/promises'
import type {
  Batch,
  Consumer,
  ConsumerCrashEvent,
  EachBatchPayload,
  Kafka,
  TopicOffsets,
} from 'kafkajs'
import { Failure } from '../failure.ts'
import type { LastWills } from '../lifecycle/last-will.ts'
import { ConsumerMeter } from './consumer-meter.ts'
import { ConsumerWatch } from './consumer-watch.ts'
import { KafkaAdmin } from './kafkajs-admin.ts'
import { KafkaLogBatch } from './kafkajs-batch.ts'
import { before, kafkaErrorText, kafkaErrorType, noKafka } from './kafkajs-client.ts'
import { onMemberId, requireKafkajs } from './kafkajs-replacements.ts'
import type { KafkaParts } from './kafkajs-writer.ts'
import { membershipWill } from './leave-group.ts'
import type { Assignment, Checkpoint, LogConsumer, LogConsumerHandler } from './log.ts'
import { flows, newReading, type PartitionReading } from './partition-reading.ts'
import { ReadingOffsets } from './reading-offsets.ts'
import { stickyAssigner } from './sticky-assigner.ts'

const SLOW_BATCH_MS = 50
const FETCH_GAP_MS = 20
const RETRY_MS = 250
/** Bad bytes are fetched again at once this often; from then on it is no accident. */
const BAD_FETCHES_MAX = 5
const BAD_FETCH_RETRY_MS = 30_000
const SETTINGS = {
  sessionTimeout: 10_000,
  heartbeatInterval: 500,
  rebalanceTimeout: 30_000,
  maxWaitTimeInMs: 250,
  minBytes: 1,
  maxBytes: 16 * 1024 * 1024,
  maxBytesPerPartition: 2 * 1024 * 1024,
  metadataMaxAge: 60_000,
  allowAutoTopicCreation: false,
  retry: { retries: 1_000_000_000, initialRetryTime: 100, maxRetryTime: 2_000 },
}

type ConsumerParts = KafkaParts &
  Readonly<{ kafkaOfConsumers: Kafka; wills?: LastWills | undefined }>
type Settings = Readonly<{
  name: string
  group: string | undefined
  topics: readonly string[]
  handler: LogConsumerHandler
}>

type CommitNow = EachBatchPayload['commitOffsetsIfNecessary']

export class KafkaConsumer implements LogConsumer {
  readonly name: string
  readonly failure: Promise<never>
  readonly #parts: ConsumerParts
  readonly #settings: Settings
  readonly #group: string
  readonly #admin: KafkaAdmin
  readonly #offsets: ReadingOffsets
  readonly #states = new Map<string, PartitionReading>()
  readonly #instance = randomUUID()
  readonly #watch: ConsumerWatch
  readonly #meter: ConsumerMeter
  #consumer: Consumer | undefined
  #commitNow: CommitNow | undefined
  #fail: (reason: unknown) => void = () => undefined
  #drained: Promise<void> | undefined
  /** Settles when the next fetch may begin; shared by the batches of one fetch. */
  #gap: Promise<void> | undefined

  constructor(parts: ConsumerParts, settings: Settings) {
    this.name = settings.name
    this.#parts = parts
    this.#settings = settings
    this.#group = settings.group ?? `${settings.name}.private.${randomUUID()}`
    this.#admin = new KafkaAdmin(parts)
    this.#meter = new ConsumerMeter(parts, { consumer: this.name, group: this.#group })
    this.#offsets = new ReadingOffsets(this.#admin, this.#meter, settings.group)
    this.#watch = new ConsumerWatch(parts.clock, () => this.#look())
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => undefined)
  }

  async start(): Promise<void> {
    const { topics } = this.#settings
    // The admin's answer comes first: it says that no Kafka answers, where the consumer would wait.
    let partitions = 0
    for (const topic of topics) partitions += await this.#admin.partitionCount(topic)
    const consumer = this.#newConsumer()
    this.#consumer = consumer
    try {
      await consumer.connect()
      await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    } catch (error) {
      throw noKafka(this.#parts.brokers, error)
    }
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: Math.max(1, partitions),
      eachBatch: (payload) => this.#eachBatch(payload),
    })
    this.#watch.start()
  }

  #newConsumer(): Consumer {
    const { AssignerProtocol, PartitionAssigners } = requireKafkajs()
    const claims = () => ({
      instance: this.#instance,
      generation: this.#meter.generation,
      holds: [...this.#states.values()].filter(({ mine }) => mine),
    })
    const sticky = stickyAssigner(AssignerProtocol, claims, (metadata) =>
      onMemberId(metadata, (memberId) => this.#declare(memberId)),
    )
    const consumer = this.#parts.kafkaOfConsumers.consumer({
      ...SETTINGS,
      groupId: this.#group,
      // Members of older versions know only the second, and the group takes what all of them know.
      partitionAssigners: [sticky, PartitionAssigners.roundRobin],
    })
    const { events } = consumer
    consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.#declare(payload.memberId)
      this.#joined(payload.memberAssignment)
    })
    consumer.on(events.HEARTBEAT, ({ payload }) =>
      this.#meter.inGeneration(payload.groupGenerationId),
    )
    consumer.on(events.FETCH_START, () => this.#watch.moved())
    consumer.on(events.REBALANCING, () => this.#watch.moved())
    consumer.on(events.CRASH, (event) => this.#crashed(event))
    return consumer
  }

  /** Why a partition that is ours is not read. */
  notReady(): string | undefined {
    const bad = [...this.#states.values()].filter(({ badFetches }) => badFetches > BAD_FETCHES_MAX)
    if (bad.length === 0) return undefined
    const places = bad.map(({ topic, partition, position }) => `${topic}/${partition}@${position}`)
    return `bytes that Kafka did not store arrive again and again at ${places.join(', ')}`
  }

  stalled(): string | undefined {
    return this.#watch.stalled()
  }

  pause(topic: string, partition: number): void {
    const state = this.#state(topic, partition)
    state.pausedByOwner = true
    this.#applyPause(state)
  }

  resume(topic: string, partition: number): void {
    const state = this.#state(topic, partition)
    state.pausedByOwner = false
    this.#applyPause(state)
  }

  async commit(assignment: Assignment, checkpoint: Checkpoint): Promise<boolean> {
    const { topic, partition, epoch } = assignment
    const state = this.#state(topic, partition)
    const offset = String(checkpoint.offset)
    const { metadata } = checkpoint
    const topics = [{ topic, partitions: [{ partition, offset, metadata }] }]
    while (state.mine && state.epoch === epoch && this.#settings.group !== undefined) {
      try {
        await this.#commitOnce(topics)
        return true
      } catch (error) {
        const type = kafkaErrorType(error)
        if (type === 'OFFSET_METADATA_TOO_LARGE') throw error
        if (type === 'ILLEGAL_GENERATION' || type === 'UNKNOWN_MEMBER_ID') return false
        this.#parts.logger.warn('commit not accepted, trying again', { topic, partition, type })
        await pauseFor(RETRY_MS)
      }
    }
    return false
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  async #drain(deadlineMs: number): Promise<void> {
    for (const state of this.#states.values()) this.pause(state.topic, state.partition)
    await before(deadlineMs, Promise.all([...this.#states.values()].map(({ work }) => work)))
    const consumer = this.#consumer
    this.#watch.stop()
    if (consumer !== undefined) {
      const left = quietly(consumer.disconnect()).then(() => this.#declare(undefined))
      await before(deadlineMs, left)
    }
    for (const state of this.#states.values()) this.#revoke(state)
    if (this.#settings.group === undefined) {
      await before(deadlineMs, quietly(this.#admin.deleteGroup(this.#group)))
    }
    await before(deadlineMs, this.#admin.close())
  }

  /**
   * Through eachBatch's own commit, because Consumer.commitOffsets repeats for ever, and would
   * carry a commit of this generation over into the next one.
   */
  #commitOnce(topics: TopicOffsets[]): Promise<void> {
    if (this.#commitNow !== undefined) return this.#commitNow({ topics })
    const flat = topics.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, ...partition })),
    )
    return this.#consumer?.commitOffsets(flat) ?? Promise.reject(new Error('not started'))
  }

  /** Runs inside kafkajs's join, before it fetches: what is paused here is not read too early. */
  #joined(assignment: Readonly<Record<string, readonly number[]>>): void {
    const mine = new Set<PartitionReading>()
    for (const [topic, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) mine.add(this.#state(topic, partition))
    }
    for (const state of this.#states.values()) if (!mine.has(state)) this.#revoke(state)
    this.#meter.rebalanced()
    this.#beginAssignment([...mine])
  }

  #beginAssignment(states: readonly PartitionReading[]): void {
    for (const state of states) {
      state.mine = true
      state.ready = false
      state.epoch++
      this.#applyPause(state)
    }
    this.#assign(states).catch((error: unknown) => this.#fail(error))
  }

  #revoke(state: PartitionReading): void {
    if (!state.mine) return
    state.mine = state.ready = state.pausedByOwner = false
    state.epoch++
    state.badFetches = 0
    // Others go on from here: neither says anything when it comes back.
    state.placed = false
    state.newestMs = 0
    this.#meter.lag(state, { lagRecords: 0, lagMs: 0 })
    this.#settings.handler.revoked(state.topic, state.partition)
  }

  async #assign(states: readonly PartitionReading[]): Promise<void> {
    const epochs = new Map(states.map((state) => [state, state.epoch]))
    const isCurrent = (state: PartitionReading) => state.mine && state.epoch === epochs.get(state)
    const topics = new Set(states.map(({ topic }) => topic))
    await Promise.all(
      [...topics].map(async (topic) => {
        const ours = states.filter((state) => state.topic === topic)
        const log = await this.#offsets.ofTopic(topic, () => ours.some(isCurrent))
        if (log === undefined) return
        await Promise.all(
          ours.map(async (state) => {
            await state.work // What the owner still holds of an earlier epoch comes first.
            if (!isCurrent(state)) return
            const { topic, partition, epoch } = state
            const committed = log.committed.get(partition)
            const { handler } = this.#settings
            const wanted = await handler.assigned({ topic, partition, epoch, committed })
            if (!isCurrent(state)) return
            const range = log.range.get(partition)
            this.#readFrom(state, this.#offsets.within(state, wanted, range))
          }),
        )
      }),
    )
  }

  #readFrom(state: PartitionReading, position: number): void {
    const { topic, partition } = state
    state.position = position
    state.placed = true
    state.ready = true
    state.resting = false
    this.#onConsumer((consumer) => consumer.seek({ topic, partition, offset: String(position) }))
    this.#applyPause(state)
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload
    this.#commitNow = (offsets) => payload.commitOffsetsIfNecessary(offsets)
    const state = this.#state(batch.topic, batch.partition)
    const { epoch } = state
    const isWanted = () =>
      flows(state) && state.epoch === epoch && payload.isRunning() && !payload.isStale()
    if (!isWanted()) return
    const records = await this.#fitting(state, batch)
    if (!isWanted()) return
    this.#meter.fetched(state, records.bytes)
    state.steps = records.steps
    if (records.damage !== undefined) this.#meter.damaged(state, records.lastOffset, records.damage)
    if (records.lastOffset < state.position) {
      if (records.damage !== undefined) this.#fetchAgain(state)
      else if (records.askedFrom < state.position) await this.#goBack(state)
      return // Not resolved, so it is fetched once more.
    }
    const { jumpsTo } = records
    if (jumpsTo !== undefined && !(await this.#isJumpKnown(state, jumpsTo))) return
    if (!isWanted()) return
    state.badFetches = 0
    state.newestMs = records.newestMs
    const taken = this.#settings.handler.batch(records)
    state.work = taken.catch((error: unknown) => this.#fail(error))
    const next = records.lastOffset + 1
    if (await isSettledWithin(SLOW_BATCH_MS, taken)) {
      if (state.epoch !== epoch) return
      state.position = next
      payload.resolveOffset(String(records.lastOffset))
      // kafkajs fetches again when all batches are done. Who is behind gathers nothing by waiting.
      if (next >= records.endOffset) await this.#fetchGap()
      return
    }
    state.resting = true
    this.#applyPause(state)
    void taken.then(
      () => state.epoch === epoch && this.#readFrom(state, next),
      () => undefined, // `work` has reported it.
    )
  }

  /** At once as long as it may be an accident of the line; then seldom, until the bytes are good. */
  #fetchAgain(state: PartitionReading): void {
    const { epoch, position } = state
    state.badFetches++
    state.resting = true
    this.#applyPause(state)
    const often = state.badFetches <= BAD_FETCHES_MAX
    const again = setTimeout(
      () => state.epoch === epoch && this.#readFrom(state, position),
      often ? RETRY_MS : BAD_FETCH_RETRY_MS,
    )
    again.unref()
  }

  #fetchGap(): Promise<void> {
    this.#gap ??= pauseFor(FETCH_GAP_MS).then(() => {
      this.#gap = undefined
    })
    return this.#gap
  }

  /** The end of the log moves while an answer is put together: what lies behind it may be right. */
  async #fitting(state: PartitionReading, batch: Batch): Promise<KafkaLogBatch> {
    const records = new KafkaLogBatch(batch, state)
    const range = records.needsLaterEnd ? await this.#offsets.rangeOf(state) : undefined
    return range === undefined ? records : new KafkaLogBatch(batch, state, range.end)
  }

  /** Compacted topics jump too: a gap is what the log no longer has. False if it does not say. */
  async #isJumpKnown(state: PartitionReading, to: number): Promise<boolean> {
    const range = await this.#offsets.rangeOf(state)
    if (range === undefined) return false
    if (state.position < range.earliest) this.#meter.gap(state, state.position, to)
    return true
  }

  /** Kafka was asked for less than is wanted: long ago, or since it said that there is no more. */
  async #goBack(state: PartitionReading): Promise<void> {
    const { epoch, position } = state
    const range = await this.#offsets.rangeOf(state)
    if (range === undefined || !flows(state) || state.epoch !== epoch) return
    if (position > range.end) this.#beginAssignment([state])
    else this.#readFrom(state, position)
  }

  #isDraining(): boolean {
    return this.#drained !== undefined
  }

  #declare(memberId: string | undefined): void {
    const { wills, brokers } = this.#parts
    const { group } = this.#settings
    if (group === undefined) return // Nobody waits for a group of one.
    const will = memberId === undefined ? undefined : membershipWill({ brokers, group, memberId })
    wills?.declare(`${this.name} in ${group}`, will)
  }

  /** How far each partition lags, whether it is being read at the moment or rests. */
  async #look(): Promise<void> {
    const nowMs = this.#parts.clock.nowMs()
    const { group, topics } = this.#settings
    for (const topic of topics) {
      const ranges = await this.#admin.offsetRange(topic)
      // Without its coordinator a group stands still, and no new process would change that.
      if (group !== undefined && !this.#isDraining()) await this.#admin.committed(group, topic)
      if (this.#isDraining()) return
      for (const [partition, { end }] of ranges) {
        const state = this.#state(topic, partition)
        // Also while its owner has not said yet where to read on: that may take as long as a batch.
        if (!state.mine || !state.placed) continue
        const lagRecords = Math.max(0, end - state.position)
        const behind = lagRecords > 0 && state.newestMs > 0
        this.#meter.lag(state, { lagRecords, lagMs: behind ? nowMs - state.newestMs : 0 })
      }
    }
  }

  #crashed({ payload }: ConsumerCrashEvent): void {
    // Until kafkajs has joined again, nothing here is ours.
    this.#commitNow = undefined
    for (const state of this.#states.values()) {
      state.ready = false
      state.epoch++
    }
    if (payload.restart) return
    const text = `the Kafka consumer ${this.name} ended: ${kafkaErrorText(payload.error)}`
    this.#fail(new Failure('unavailable', text, { cause: payload.error }))
  }

  #applyPause(state: PartitionReading): void {
    const { topic, partition } = state
    const where = [{ topic, partitions: [partition] }]
    const pauses = !flows(state)
    this.#onConsumer((consumer) => (pauses ? consumer.pause(where) : consumer.resume(where)))
  }

  /** kafkajs throws when asked between a crash and its restart; joining again sets all anew. */
  #onConsumer(ask: (consumer: Consumer) => void): void {
    if (this.#consumer === undefined) return
    try {
      ask(this.#consumer)
    } catch (error) {
      this.#parts.logger.debug('the consumer is not running', { error: kafkaErrorText(error) })
    }
  }

  #state(topic: string, partition: number): PartitionReading {
    const key = `${topic}/${partition}`
    const state = this.#states.get(key) ?? newReading(topic, partition)
    this.#states.set(key, state)
    return state
  }
}

async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined)
}

/** False when the time is over first. A rejection counts as settled, and is for others to see. */
async function isSettledWithin(limitMs: number, work: Promise<void>): Promise<boolean> {
  let settled = false
  const done = work.then(
    () => void (settled = true),
    () => undefined,
  )
  await before(limitMs, done)
  return settled
}
