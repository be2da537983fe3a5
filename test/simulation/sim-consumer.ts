/**
 * LogConsumer in a simulated world, as the one on kafkajs behaves: a partition is read only after
 * its owner said where from, one batch at a time; commits of an older epoch are dropped, answers
 * to commits get lost and the commit is repeated.
 */
import type {
  Assignment,
  Checkpoint,
  LogConsumer,
  LogConsumerHandler,
} from '../../platform/kafka/log.ts'
import type { SimGroup, SimMember } from './sim-group.ts'
import { simBatch, type SimPartition } from './sim-log-server.ts'
import type { Owner, Scheduler } from './scheduler.ts'

type Reading = {
  readonly log: SimPartition
  readonly partition: number
  epoch: number
  mine: boolean
  ready: boolean
  paused: boolean
  busy: boolean
  /** A fetch is under way. */
  fetching: boolean
  position: number
  work: Promise<void>
}

export type ConsumerWorld = Readonly<{
  scheduler: Scheduler
  group: SimGroup
  owner: Owner
  /** Whether answers get lost and servers are away now and then. */
  troubled: () => boolean
  batchRecordsMax: () => number
  joined: (consumer: SimConsumer) => void
  /** Offsets that the log no longer has were asked for. */
  gap: (partition: number, wantedOffset: number, foundOffset: number) => void
}>

export class SimConsumer implements LogConsumer, SimMember {
  readonly name: string
  readonly failure: Promise<never>
  readonly #world: ConsumerWorld
  readonly #handler: LogConsumerHandler
  readonly #readings: readonly Reading[]
  #generation = -1
  #fail: (reason: unknown) => void = () => undefined

  constructor(world: ConsumerWorld, logs: readonly SimPartition[], handler: LogConsumerHandler) {
    this.name = world.owner.name
    this.#world = world
    this.#handler = handler
    this.#readings = logs.map((log, partition) => ({
      log,
      partition,
      epoch: 0,
      mine: false,
      ready: false,
      paused: false,
      busy: false,
      fetching: false,
      position: 0,
      work: Promise.resolve(),
    }))
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => undefined)
  }

  async start(): Promise<void> {
    this.#world.joined(this)
  }

  async drain(): Promise<void> {
    for (const reading of this.#readings) reading.paused = true
    await Promise.all(this.#readings.map(({ work }) => work))
    this.#world.group.leave(this)
    for (const reading of this.#readings) this.#revoke(reading)
  }

  pause(_topic: string, partition: number): void {
    this.#reading(partition).paused = true
  }

  resume(_topic: string, partition: number): void {
    this.#reading(partition).paused = false
    this.look(partition)
  }

  async commit(assignment: Assignment, checkpoint: Checkpoint): Promise<boolean> {
    const { partition, epoch } = assignment
    const reading = this.#reading(partition)
    while (reading.mine && reading.epoch === epoch) {
      const answer = await this.#requestCommit(partition, checkpoint)
      if (answer !== 'lost') return answer === 'stored'
    }
    return false
  }

  assign(generation: number, partitions: readonly number[]): void {
    const { scheduler, owner } = this.#world
    const run = (): void => this.#assigned(generation, partitions)
    scheduler.post({ owner, what: `joins, gets [${partitions.join()}]`, run, orphan: undefined })
  }

  expel(): void {
    const { scheduler, owner } = this.#world
    const run = (): void => {
      for (const reading of this.#readings) {
        reading.ready = false
        reading.epoch += 1
      }
    }
    if (scheduler.random.chance(0.5)) return
    scheduler.post({ owner, what: 'hears that it was expelled', run, orphan: undefined })
  }

  /** Asks for the next batch of a partition if there is something to read and nothing under way. */
  look(partition: number): void {
    const { scheduler, owner } = this.#world
    const reading = this.#reading(partition)
    if (!this.#readable(reading) || reading.fetching) return
    if (reading.position >= reading.log.end) return
    reading.fetching = true
    const run = (): void => {
      reading.fetching = false
      this.#fetched(reading)
    }
    scheduler.post({ owner, what: `fetches from ${partition}`, run, orphan: undefined })
  }

  #readable(reading: Reading): boolean {
    return reading.mine && reading.ready && !reading.paused && !reading.busy
  }

  #fetched(reading: Reading): void {
    const { scheduler, batchRecordsMax, gap } = this.#world
    const { log, partition, epoch } = reading
    if (!this.#readable(reading)) return
    if (reading.position < log.earliest) gap(partition, reading.position, log.earliest)
    const records = log.read(reading.position, scheduler.random.between(1, batchRecordsMax()))
    const last = records.at(-1)
    if (last === undefined) {
      // Only holes, up to the end.
      reading.position = Math.max(reading.position, log.end)
      return
    }
    reading.busy = true
    reading.work = this.#handler.batch(simBatch(log, records)).then(
      () => {
        reading.busy = false
        if (reading.epoch === epoch) reading.position = last.offset + 1
        this.look(partition)
      },
      (error: unknown) => this.#fail(error),
    )
  }

  #assigned(generation: number, partitions: readonly number[]): void {
    if (generation < this.#generation) return
    this.#generation = generation
    for (const reading of this.#readings) {
      if (!partitions.includes(reading.partition)) this.#revoke(reading)
    }
    for (const partition of partitions) {
      const reading = this.#reading(partition)
      reading.mine = true
      reading.ready = false
      reading.epoch += 1
      this.#begin(reading).catch((error: unknown) => this.#fail(error))
    }
  }

  async #begin(reading: Reading): Promise<void> {
    const { scheduler, group, owner, gap } = this.#world
    const { partition, epoch, log } = reading
    const known = await scheduler.ask(owner, `asks for the commit of ${partition}`, () => ({
      committed: group.committed(partition),
      earliest: log.earliest,
      end: log.end,
    }))
    await reading.work
    if (reading.epoch !== epoch) return
    const { committed } = known
    const { topic } = log
    const wanted = await this.#handler.assigned({ topic, partition, epoch, committed })
    if (reading.epoch !== epoch) return
    if (wanted < known.earliest && committed !== undefined) gap(partition, wanted, known.earliest)
    reading.position = Math.min(Math.max(wanted, known.earliest), known.end)
    reading.ready = true
    this.look(partition)
  }

  #revoke(reading: Reading): void {
    if (!reading.mine) return
    reading.mine = reading.ready = reading.paused = false
    reading.epoch += 1
    this.#handler.revoked(reading.log.topic, reading.partition)
  }

  #requestCommit(
    partition: number,
    checkpoint: Checkpoint,
  ): Promise<'stored' | 'refused' | 'lost'> {
    const { scheduler, group, owner, troubled } = this.#world
    const generation = this.#generation
    return new Promise((resolve) => {
      const apply = () => group.commit(generation, partition, checkpoint)
      const run = (): void => {
        if (!troubled()) resolve(apply())
        // Stored or not, the answer does not arrive.
        else if (scheduler.random.chance(0.5)) resolve('lost')
        else {
          apply()
          resolve('lost')
        }
      }
      const what = `commits ${partition} at ${checkpoint.offset} ${checkpoint.metadata}`
      scheduler.post({ owner, what, run, orphan: apply })
    })
  }

  #reading(partition: number): Reading {
    const reading = this.#readings[partition]
    if (reading === undefined) throw new Error(`no partition ${partition}`)
    return reading
  }
}
