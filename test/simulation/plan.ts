/**
 * What kind of world a schedule plays in: how many processes and partitions, which faults occur
 * and how often. Each schedule draws a few kinds of fault and leaves the others out, because some
 * accidents only happen where others do not get in their way.
 */
import { DAY_MS } from '../../schemas/telemetry.ts'
import type { Random } from './random.ts'

/** Every kind of trouble, by the name under which it can be left out. */
export const TROUBLES = [
  'late samples',
  'clock skew',
  'bad records',
  'redelivery',
  'leaps of time',
  'idle log',
  'holes in the log',
  'broker clock steps back',
  'process clocks differ',
  'crashes',
  'graceful stops',
  'frozen processes',
  'rebalances',
  'stale commits arrive',
  'regressed commits',
  'unreadable metadata',
  'forgotten commits',
  'lost records',
  'retention',
  'tables fail',
  'answers get lost',
  'small buffers',
  'writers full',
  'different lateness',
  'rolling upgrade',
  'half inserts',
  'colliding series',
  'no ticks',
] as const
export type Trouble = (typeof TROUBLES)[number]

/** How likely a schedule knows a trouble; those that hide others are rare. */
const SHARE: Readonly<Record<Trouble, number>> = {
  'late samples': 0.85,
  'clock skew': 0.5,
  'bad records': 0.4,
  redelivery: 0.6,
  'leaps of time': 0.6,
  'idle log': 0.5,
  'holes in the log': 0.1,
  'broker clock steps back': 0.2,
  'process clocks differ': 0.4,
  crashes: 0.8,
  'graceful stops': 0.4,
  'frozen processes': 0.4,
  rebalances: 0.6,
  'stale commits arrive': 0.4,
  'regressed commits': 0.25,
  'unreadable metadata': 0.15,
  'forgotten commits': 0.1,
  'lost records': 0.06,
  retention: 0.1,
  'tables fail': 0.4,
  'answers get lost': 0.4,
  'small buffers': 0.3,
  'writers full': 0.2,
  'different lateness': 0.35,
  'rolling upgrade': 0.35,
  'half inserts': 0.6,
  'colliding series': 0.02,
  'no ticks': 0.15,
}

export type Plan = Readonly<{
  troubles: ReadonlySet<Trouble>
  partitions: number
  processes: number
  /** Batches of records that arrive before the world is healed. */
  arrivals: number
  lateShare: number
  latenessesMs: readonly [number, ...number[]]
  batchRecordsMax: number
  flushBytes: number
  flushQueuedBytesMax: number
  idleSeriesMax: number
  /** Ends with a tick on every partition that closes whatever is open. */
  closesAll: boolean
  startMs: number
}>

export type PlanLimits = Readonly<{
  /** Troubles that every world has, where something rare is looked for. */
  always: readonly Trouble[]
  without: ReadonlySet<Trouble>
  arrivalsMax: number
}>

export const NO_LIMITS: PlanLimits = {
  always: [],
  without: new Set(),
  arrivalsMax: Infinity,
}

/** Raw rows live for ten days, the log for seven: samples older than a day are too late. */
export const RETENTION = { rawRetentionDays: 10, logRetentionDays: 7 } as const

/** A midnight long after 1970. */
const MIDNIGHT_MS = 19_700 * DAY_MS

const LOSSES = ['lost records', 'retention'] as const

/** Draws the same numbers whatever is left out, so that the rest of a schedule stays alike. */
export function drawPlan(random: Random, limits: PlanLimits): Plan {
  const drawn = TROUBLES.filter(
    (trouble) => random.chance(SHARE[trouble]) || limits.always.includes(trouble),
  )
  const troubles = new Set(drawn.filter((trouble) => !limits.without.has(trouble)))
  const has = (trouble: Trouble): boolean => troubles.has(trouble)
  // Whether both names were ever met is only certain where no record is lost.
  if (has('colliding series')) for (const each of LOSSES) troubles.delete(each)
  // Nothing would ever come after a commit from long ago that was stored last.
  if (has('no ticks')) troubles.delete('stale commits arrive')
  const [one, two, share] = [
    random.pick([15_000, 4_000]),
    random.pick([60_000, 2_000]),
    random.word(),
  ]
  const arrivals = random.between(3, 16)
  const small = random.between(300, 3_000)
  return {
    troubles,
    partitions: random.pick([1, 1, 1, 2, 3]),
    processes: random.between(1, 3),
    arrivals: Math.min(arrivals, limits.arrivalsMax),
    lateShare: has('late samples') ? 0.1 + (share / 2 ** 32) * 0.5 : 0,
    latenessesMs: has('different lateness') ? [one, two] : [one],
    batchRecordsMax: random.pick([2, 5, 12]),
    flushBytes: has('small buffers') ? small : 1 << 20,
    flushQueuedBytesMax: has('small buffers') ? 2 * small : 2 << 20,
    idleSeriesMax: random.between(1, 6),
    closesAll: random.chance(0.5),
    // Just before midnight, hours and days end together with minutes.
    startMs:
      MIDNIGHT_MS - random.pick([20_000, 130_000, 400_000, 3_700_000]) + random.below(60_000),
  }
}
