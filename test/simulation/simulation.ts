/**
 * One schedule: a world is drawn from a seed, lives through its troubles, is healed, comes to
 * rest, and is then compared with its log.
 */
import { parseCheckpoint } from '../../pipeline/window/checkpoint.ts'
import { DAY_MS } from '../../schemas/telemetry.ts'
import { TELEMETRY } from '../../schemas/topics.ts'
import { checkCollisions, hasCollision } from './collision-check.ts'
import { checkTables } from './final-check.ts'
import type { Modules } from './modules.ts'
import { drawPlan, NO_LIMITS, type Plan, type PlanLimits, RETENTION } from './plan.ts'
import { Random } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { type Counts, World } from './world.ts'

export type Outcome = Readonly<{
  seed: number
  /** What is wrong; empty when all is exact. */
  findings: readonly string[]
  plan: Plan
  steps: number
  counts: Counts
  story: readonly string[]
}>

export type ScheduleOptions = Readonly<{
  modules: Modules
  /** The same program with a hash that takes two names for one, for the schedules that need it. */
  colliding: () => Promise<Modules>
  limits?: PlanLimits
  traced?: boolean
}>

/** After so many events without coming to rest, a healed world is stuck. */
const REST_STEPS_MAX = 20_000
const FINDINGS_MAX = 5

export async function runSchedule(seed: number, options: ScheduleOptions): Promise<Outcome> {
  const random = new Random(seed)
  const plan = drawPlan(random, options.limits ?? NO_LIMITS)
  const modules = plan.troubles.has('colliding series')
    ? await options.colliding()
    : options.modules
  const world = new World(random, plan, modules, options.traced === true)
  try {
    await new Schedule(world).run()
  } catch (error) {
    world.oracle.finding(`an error: ${error instanceof Error ? error.stack : String(error)}`)
  }
  return {
    seed,
    findings: world.oracle.findings.slice(0, FINDINGS_MAX),
    plan,
    steps: world.scheduler.steps,
    counts: world.counts,
    story: world.scheduler.story ?? [],
  }
}

class Schedule {
  readonly #world: World
  #arrivals: number
  /** By partition: the last offset that must be committed in the end. */
  #last: readonly number[] = []
  /** By partition: C of the commit with which the world came to rest. */
  #closedToMs: readonly number[] = []
  #commitsSeen = -1

  constructor(world: World) {
    this.#world = world
    this.#arrivals = world.plan.arrivals
  }

  async run(): Promise<void> {
    const { oracle } = this.#world
    this.#world.startProcess(false)
    while (this.#arrivals > 0 && oracle.findings.length === 0) await this.#step()
    if (oracle.findings.length > 0) return
    await this.#heal()
    if (oracle.findings.length > 0) return
    if (this.#world.has('colliding series') && hasCollision(this.#world.truth)) {
      checkCollisions(this.#world)
    } else this.#compare()
  }

  async #step(): Promise<void> {
    const { scheduler, random } = this.#world
    scheduler.steps += 1
    const dice = random.below(100)
    let done = false
    if (dice < 60) done = scheduler.runEvent()
    else if (dice < 78) done = scheduler.runTimer()
    else if (dice < 82) done = scheduler.runOrphan()
    if (!done) this.#act()
    await Scheduler.settled()
  }

  /** Something that no process asked for. */
  #act(): void {
    const { random, scheduler } = this.#world
    const partition = random.below(this.#world.plan.partitions)
    switch (random.below(16)) {
      case 0:
      case 1:
        return this.#startOne()
      case 2:
        return this.#crash()
      case 3:
        return this.#freeze()
      case 4:
        return this.#stop()
      case 5:
        if (this.#world.has('rebalances')) this.#world.rebalance()
        return
      case 6:
        if (this.#world.has('regressed commits') && this.#world.group.regress(partition)) {
          scheduler.tell(() => `the commit of ${partition} is an older one now`)
        }
        return
      case 7:
        return this.#loseCheckpoint(partition)
      case 8:
        return this.#loseRecords(partition)
      default:
        return this.#arrive()
    }
  }

  #arrive(): void {
    const { random, scheduler, traffic } = this.#world
    this.#arrivals -= 1
    this.#passTime()
    const records = random.between(1, 4)
    for (let n = 0; n < records; n += 1) {
      this.#world.arrive(traffic.next(scheduler.nowMs))
      scheduler.nowMs += random.below(2_000)
    }
  }

  #passTime(): void {
    const { random, scheduler } = this.#world
    const has = this.#world.has.bind(this.#world)
    if (has('retention') && random.chance(0.2)) {
      scheduler.nowMs += random.pick([1, 2, 4, 9]) * DAY_MS
      this.#expire()
    } else if (has('leaps of time') && random.chance(0.12)) {
      scheduler.nowMs += random.pick([120_000, 3_600_000, 3_600_000, DAY_MS])
    } else if (has('idle log') && random.chance(0.3)) scheduler.nowMs += random.below(60_000)
    else scheduler.nowMs += random.below(9_000)
  }

  /** What is older than its retention may go, from the log and from raw. */
  #expire(): void {
    const { scheduler, plan, server, tables } = this.#world
    const keepMs = RETENTION.logRetentionDays * DAY_MS
    for (let partition = 0; partition < plan.partitions; partition += 1) {
      const log = server.partition(TELEMETRY.name, partition)
      const oldest = log.offsetAt(scheduler.nowMs - keepMs)
      if (oldest > log.earliest) this.#world.truncate(partition, oldest)
    }
    tables.expireSamples(scheduler.nowMs - RETENTION.rawRetentionDays * DAY_MS)
  }

  #startOne(): void {
    if (this.#world.living.length < this.#world.plan.processes) this.#world.startProcess(false)
  }

  #crash(): void {
    if (!this.#world.has('crashes')) return
    const process = this.#world.random.some(this.#world.living)
    if (process === undefined) return
    this.#world.counts.crashes += 1
    this.#world.end(process, 'crashes')
    if (this.#world.random.chance(0.7)) this.#world.rebalance()
  }

  #freeze(): void {
    const { random, living, scheduler } = this.#world
    if (!this.#world.has('frozen processes')) return
    const process = random.some(living)
    if (process === undefined) return
    process.frozen = !process.frozen
    scheduler.tell(() => `${process.name} ${process.frozen ? 'stands still' : 'goes on'}`)
    if (random.chance(0.6)) this.#world.rebalance()
  }

  #stop(): void {
    if (!this.#world.has('graceful stops')) return
    const process = this.#world.random.some(this.#world.living)
    if (process === undefined || process.draining || process.consumer === undefined) return
    this.#world.scheduler.tell(() => `${process.name} is told to stop`)
    process.drain().catch((error: unknown) => {
      this.#world.oracle.finding(`a drain failed: ${String(error)}`)
    })
  }

  #loseCheckpoint(partition: number): void {
    const { random, group, scheduler } = this.#world
    const committed = group.committed(partition)?.metadata
    if (this.#world.has('rolling upgrade') && committed?.split(';').length === 4) {
      // Written by a release that knew neither hours nor days.
      group.garble(partition, committed.replace('v2', 'v1'))
    }
    if (this.#world.has('unreadable metadata')) {
      const metadata = random.pick(['', 'v9;1;2;3', 'v1;5;', 'someone else was here'])
      if (group.garble(partition, metadata)) {
        scheduler.tell(() => `the metadata of ${partition} is "${metadata}" now`)
      }
    }
    if (this.#world.has('forgotten commits') && group.forget(partition)) {
      scheduler.tell(() => `the commit of ${partition} is forgotten`)
    }
  }

  #loseRecords(partition: number): void {
    const { random, server } = this.#world
    if (!this.#world.has('lost records') || random.chance(0.6)) return
    const log = server.partition(TELEMETRY.name, partition)
    this.#world.truncate(partition, log.earliest + random.below(log.end - log.earliest + 1))
  }

  /** Trouble is over: fresh members take all, whatever the old ones still have under way. */
  async #heal(): Promise<void> {
    const { random, scheduler, traffic, plan, server } = this.#world
    scheduler.tell(() => 'the world heals')
    if (plan.closesAll) {
      scheduler.nowMs += 2 * DAY_MS
      for (let p = 0; p < plan.partitions; p += 1) {
        this.#world.arrive(traffic.tick(p, scheduler.nowMs))
      }
    }
    if (this.#world.has('retention')) this.#expire()
    this.#world.healed = true
    const partitions = server.partitions(TELEMETRY.name)
    // Holes at the end hold nothing, and nobody can pass them.
    this.#last = partitions.map(({ records }) => records.at(-1)?.offset ?? -1)
    for (const process of this.#world.living) {
      if (random.chance(0.6)) this.#world.end(process, 'crashes')
      else {
        // A zombie: it goes on, but nobody gives it partitions any more.
        process.draining = true
        process.frozen = false
      }
    }
    const fresh = random.between(1, 2)
    for (let n = 0; n < fresh; n += 1) this.#world.startProcess(true)
    await this.#rest()
    this.#closedToMs = this.#checkpoints().map((checkpoint) => checkpoint?.closedToMs ?? 0)
    // What still arrives may be an older commit, from behind records that it knows nothing of.
    for (const process of this.#world.living) this.#world.end(process, 'is no longer needed')
    while (scheduler.runOrphan()) await Scheduler.settled()
  }

  async #rest(): Promise<void> {
    const { scheduler, random, oracle } = this.#world
    for (let steps = 0; !this.#isAtRest(); steps += 1) {
      if (oracle.findings.length > 0) return
      // Whoever meets two names under one id ends, and so does whoever follows.
      if (
        this.#world.has('colliding series') &&
        this.#world.living.every(({ draining }) => draining)
      )
        return
      if (steps > REST_STEPS_MAX) {
        oracle.finding(`stuck: ${this.#positions().join(', ')}`)
        return
      }
      scheduler.steps += 1
      const dice = random.below(100)
      const done = dice < 10 ? scheduler.runOrphan() : dice < 80 && scheduler.runEvent()
      if (!done) scheduler.runTimer()
      await Scheduler.settled()
    }
  }

  /** By partition: what is committed; undefined where nothing is, or nothing readable. */
  #checkpoints() {
    const { plan, group } = this.#world
    return Array.from({ length: plan.partitions }, (_, partition) => {
      const at = group.committed(partition)
      return at === undefined ? undefined : parseCheckpoint(at.offset, at.metadata)
    })
  }

  /** By partition: where a successor would begin to write. */
  #positions(): number[] {
    const { group } = this.#world
    return this.#checkpoints().map(
      (checkpoint, partition) => checkpoint?.position ?? group.committed(partition)?.offset ?? -1,
    )
  }

  /** Everything that was in the log when the world healed is committed. */
  #isAtRest(): boolean {
    // Only a commit brings the world any nearer to its rest.
    const { commits } = this.#world.counts
    if (commits === this.#commitsSeen) return false
    this.#commitsSeen = commits
    return this.#positions().every((position, partition) => {
      const last = this.#last[partition] ?? -1
      // Of an empty partition there is nothing to commit, and without ticks nothing will come.
      return last < 0 || position > last
    })
  }

  #compare(): void {
    const { plan, truth, tables, oracle } = this.#world
    const partitions = Array.from({ length: plan.partitions }, (_, partition) => partition)
    const disagree = (
      [
        'different lateness',
        'unreadable metadata',
        'forgotten commits',
        'lost records',
        'retention',
        'bad records',
      ] as const
    ).some((trouble) => this.#world.has(trouble))
    const gaps = this.#world.has('holes in the log') || this.#world.counts.gaps > 0
    checkTables({
      truth,
      tables,
      oracle,
      closedToMs: this.#closedToMs,
      closedAtMostMs: partitions.map((partition) => {
        if (disagree || gaps) return Infinity
        return (truth.maxTsMs[partition] ?? 0) - Math.min(...plan.latenessesMs)
      }),
      agreed: !disagree && !gaps,
    })
  }
}
