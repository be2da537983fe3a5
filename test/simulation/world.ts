/**
 * A whole simulated world: the log, the group, the tables, the processes, and the scheduler that
 * owns their every step. What happens in it is drawn from one seed.
 */
import type { OutgoingRecord } from '../../platform/kafka/log.ts'
import { acceptedAgeMs, DAY_MS } from '../../schemas/telemetry.ts'
import { DEAD_LETTERS, ROLLUPS, TELEMETRY } from '../../schemas/topics.ts'
import type { Modules } from './modules.ts'
import { Oracle } from './oracle.ts'
import { type Plan, RETENTION, type Trouble } from './plan.ts'
import type { Random } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { SimGroup } from './sim-group.ts'
import { simLog } from './sim-log.ts'
import { SimLogServer } from './sim-log-server.ts'
import { polyglot, SimProcess } from './sim-process.ts'
import { simSink } from './sim-sink.ts'
import { SimTables } from './sim-tables.ts'
import { type Outgoing, Traffic } from './traffic.ts'
import { Truth } from './truth.ts'

export type Counts = Record<
  | 'processes'
  | 'crashes'
  | 'commits'
  | 'rows'
  | 'corrections'
  | 'merged'
  | 'letters'
  | 'exits'
  | 'gaps',
  number
>

const FLUSH_INTERVAL_MS = 1_000
const LIVE_INTERVAL_MS = 2_100
const TICK_INTERVAL_MS = 5_000
/** Later than any schedule ends. */
const NEVER_MS = 3_650 * DAY_MS
const LETTER_PARTITIONS = 2

export class World {
  readonly plan: Plan
  readonly random: Random
  readonly scheduler: Scheduler
  readonly server = new SimLogServer()
  readonly group: SimGroup
  readonly tables: SimTables
  readonly truth: Truth
  readonly oracle: Oracle
  readonly traffic: Traffic
  readonly processes: SimProcess[] = []
  /** Why processes ended by themselves. */
  readonly exits: string[] = []
  readonly counts: Counts = {
    ...{ processes: 0, crashes: 0, commits: 0, rows: 0, corrections: 0 },
    ...{ merged: 0, letters: 0, exits: 0, gaps: 0 },
  }
  /** From now on nothing fails any more. */
  healed = false
  readonly #modules: Modules

  constructor(random: Random, plan: Plan, modules: Modules, traced: boolean) {
    this.plan = plan
    this.random = random
    this.#modules = modules
    this.scheduler = new Scheduler(random, plan.startMs, traced)
    this.server.createTopic(TELEMETRY.name, plan.partitions)
    this.server.createTopic(DEAD_LETTERS.name, LETTER_PARTITIONS)
    this.server.createTopic(ROLLUPS.name, 1)
    this.group = new SimGroup({
      random,
      partitions: plan.partitions,
      fenced: !this.has('stale commits arrive'),
      stored: (partition, checkpoint) => {
        this.counts.commits += 1
        this.oracle.committed(partition, checkpoint)
      },
    })
    this.tables = new SimTables(random)
    this.truth = new Truth(plan.partitions, acceptedAgeMs(RETENTION))
    this.traffic = new Traffic(random, plan)
    this.oracle = new Oracle({
      truth: this.truth,
      tables: this.tables,
      nowMs: () => this.scheduler.nowMs,
      calm: this.#isCalm(),
    })
  }

  has(trouble: Trouble): boolean {
    return this.plan.troubles.has(trouble)
  }

  get living(): readonly SimProcess[] {
    return this.processes.filter((process) => !process.gone)
  }

  /** A record arrives at the log, and consumers that wait for it are told. */
  arrive({ partition, key, value, telemetry }: Outgoing): void {
    const log = this.server.partition(TELEMETRY.name, partition)
    if (this.has('holes in the log') && this.random.chance(0.1)) log.skip(this.random.between(1, 3))
    const backMs = this.has('broker clock steps back') && this.random.chance(0.1) ? 5_000 : 0
    const timestampMs = this.scheduler.nowMs - backMs
    const offset = log.push({ timestampMs, key, value, headers: {} })
    this.truth.add({ partition, offset, appendMs: timestampMs, value, telemetry })
    this.scheduler.tell(() => `log ${partition}/${offset} at ${timestampMs}: ${shown(telemetry)}`)
    for (const process of this.living) process.consumer?.look(partition)
  }

  startProcess(healthy: boolean): SimProcess {
    const { random } = this
    const name = `p${this.processes.length}`
    const process = new SimProcess(name)
    this.processes.push(process)
    this.counts.processes += 1
    const modules = this.#modules
    // The last owner, too, may be one of the former release.
    const foldEpoch = this.has('rolling upgrade') ? random.pick([1, 2]) : 2
    const latenessMs = random.pick(this.plan.latenessesMs)
    const skewMs =
      this.has('process clocks differ') && !healthy
        ? random.pick([-DAY_MS, -3_600_000, 0, 3_600_000, DAY_MS])
        : 0
    this.scheduler.tell(
      () =>
        `${name} starts, lateness ${latenessMs}, fold epoch ${foldEpoch}, clock off by ${skewMs}`,
    )
    void process.start({
      scheduler: this.scheduler,
      modules,
      parts: {
        log: simLog(this.#logWorld(process, modules)),
        sink: simSink({
          scheduler: this.scheduler,
          owner: process,
          tables: this.tables,
          failing: () => this.trouble('tables fail', 0.12),
          inPieces: this.has('half inserts'),
          unavailable: (what) => new modules.Failure('unavailable', what),
          putRollup: (place, sizeMs, row) => {
            this.counts.rows += 1
            if (sizeMs > 60_000) this.counts.merged += 1
            else if (row.correctedAtMs > 0) this.counts.corrections += 1
            this.oracle.row(place, sizeMs, row)
            this.oracle.read(this.tables.putRollup(place, sizeMs, row), row)
          },
        }),
        options: {
          topicPrefix: '',
          flushIntervalMs: FLUSH_INTERVAL_MS,
          flushBytes: this.plan.flushBytes,
          flushQueuedBytesMax: this.plan.flushQueuedBytesMax,
          latenessMs,
          ...RETENTION,
          tickIntervalMs: this.has('no ticks') ? NEVER_MS : TICK_INTERVAL_MS,
          liveIntervalMs: LIVE_INTERVAL_MS,
          liveQueuedBytesMax: 1 << 20,
          idleSeriesMax: this.plan.idleSeriesMax,
          foldEpoch,
        },
      },
      skewMs: () => skewMs,
      registryFails: () => this.trouble('answers get lost', 0.3),
      unavailable: (what) => new modules.Failure('unavailable', what),
      published: (update) => this.oracle.published(update),
      errorLogged: (message) => this.scheduler.tell(() => `${name} logs: ${message}`),
      exited: (error) => this.#exited(process, error),
      stopped: () => this.end(process, 'has drained'),
    })
    return process
  }

  trouble(trouble: Trouble, probability: number): boolean {
    return !this.healed && this.has(trouble) && this.random.chance(probability)
  }

  /** The process is no more: killed, stopped, or ended by itself. */
  end(process: SimProcess, why: string): void {
    if (process.gone) return
    this.scheduler.tell(() => `${process.name} ${why}`)
    if (process.consumer !== undefined) this.group.leave(process.consumer)
    this.scheduler.abandon(process)
  }

  /** What retention, or an operator, takes from the beginning of a partition. */
  truncate(partition: number, earliest: number): void {
    const log = this.server.partition(TELEMETRY.name, partition)
    const durable = this.oracle.durableTo[partition] ?? 0
    this.truth.lose(partition, Math.max(durable, log.earliest), Math.min(earliest, log.end))
    log.truncate(earliest)
    this.scheduler.tell(() => `log ${partition} begins at ${log.earliest} now`)
  }

  #logWorld(process: SimProcess, modules: Modules): Parameters<typeof simLog>[0] {
    return {
      scheduler: this.scheduler,
      server: this.server,
      group: this.group,
      owner: process,
      troubled: () => this.trouble('answers get lost', 0.1),
      batchRecordsMax: () => (this.healed ? 1_000 : this.plan.batchRecordsMax),
      joined: (consumer) => {
        process.consumer = consumer
        this.rebalance()
      },
      gap: (partition, wanted, found) => {
        this.counts.gaps += 1
        this.scheduler.tell(() => `offset gap in ${partition}: ${wanted} to ${found}`)
      },
      append: (topic, partition, record) => this.#append(topic, partition, record),
      writersFull: () => this.trouble('writers full', 0.2),
      unavailable: (what) => new modules.Failure('unavailable', what),
    }
  }

  /** Everybody who lives is a member, or most of them. */
  rebalance(): void {
    const all = this.living.filter(({ draining }) => !draining)
    const some = all.filter((process) => !process.frozen || this.random.chance(0.2))
    const members = some.filter(
      () => this.healed || !this.has('rebalances') || this.random.chance(0.8),
    )
    const consumers = (members.length > 0 ? members : some).flatMap(
      ({ consumer }) => consumer ?? [],
    )
    this.scheduler.tell(() => `rebalance: [${consumers.map(({ name }) => name).join()}]`)
    if (consumers.length > 0) this.group.rebalance(consumers)
  }

  #append(topic: string, partition: number, record: OutgoingRecord): void {
    const { value, headers = {} } = record
    if (topic === DEAD_LETTERS.name) {
      this.counts.letters += 1
      this.oracle.letter(value, headers)
      return
    }
    if (topic !== TELEMETRY.name) return
    const decoded = polyglot.decode(value ?? Buffer.alloc(0))
    if (decoded.kind !== 'value') throw new Error('a process wrote telemetry that nobody can read')
    this.arrive({ partition, key: null, value, telemetry: decoded.value })
  }

  #exited(process: SimProcess, error: unknown): void {
    if (process.gone) return
    this.counts.exits += 1
    const why = error instanceof Error ? error.message : String(error)
    this.exits.push(why)
    this.end(process, `ends: ${why}`)
    // The supervisor starts it again, and the group hears of it.
    if (this.healed && !this.has('colliding series')) this.startProcess(true)
    else this.rebalance()
    // Who is told to stop while the world is in trouble gives up, and is replayed by the next.
    if (!process.draining && !this.#mayEnd(why)) {
      this.oracle.finding(`a process ended: ${error instanceof Error ? error.stack : why}`)
    }
  }

  /** Reasons for which a process is right to end. */
  #mayEnd(why: string): boolean {
    if (why.startsWith('Two series have the same id')) return this.has('colliding series')
    if (why.startsWith('late records are in the log')) {
      return this.has('retention') || this.has('process clocks differ')
    }
    return false
  }

  #isCalm(): boolean {
    const apart: readonly Trouble[] = [
      ...(['frozen processes', 'rebalances', 'stale commits arrive', 'graceful stops'] as const),
      ...(['unreadable metadata', 'forgotten commits', 'lost records', 'retention'] as const),
      ...(['different lateness', 'holes in the log', 'colliding series'] as const),
    ]
    return this.plan.processes === 1 && !apart.some((trouble) => this.has(trouble))
  }
}

function shown(telemetry: Outgoing['telemetry']): string {
  return telemetry === undefined ? 'noise' : JSON.stringify(telemetry)
}
