/** Many schedules, one after the other: each from a seed of its own, until one fails. */
import { COLLIDING_HASH } from './hash-collisions.ts'
import { loadModules, type Modules } from './modules.ts'
import type { Mutant } from './mutants.ts'
import { NO_LIMITS, type PlanLimits, TROUBLES } from './plan.ts'
import { type Outcome, runSchedule, type ScheduleOptions } from './simulation.ts'
import { SMALL_SIZES } from './small-sizes.ts'
import type { Counts } from './world.ts'

/** The program to try: that of this build, or one without a rule, where that would be missed. */
export async function programWith(mutant?: Mutant): Promise<ScheduleOptions> {
  const edits = [...SMALL_SIZES, ...(mutant?.edits ?? [])]
  let colliding: Promise<Modules> | undefined
  return {
    modules: await loadModules(edits),
    colliding: () => (colliding ??= loadModules([...edits, ...COLLIDING_HASH])),
    limits: { ...NO_LIMITS, always: mutant?.missedIn ?? [] },
  }
}

export type Campaign = Readonly<{
  program: ScheduleOptions
  fromSeed: number
  schedules: number
  /** Seeds between two schedules; others run those in between. */
  stride?: number
  progress?: (done: number) => void
}>

export type CampaignResult = Readonly<{
  schedules: number
  steps: number
  counts: Counts
  failed: Outcome | undefined
}>

export const noCounts = (): Counts => ({
  ...{ processes: 0, crashes: 0, commits: 0, rows: 0, corrections: 0 },
  ...{ merged: 0, letters: 0, exits: 0, gaps: 0 },
})

/** Ends at the first schedule that fails. */
export async function runCampaign(campaign: Campaign): Promise<CampaignResult> {
  const { program, fromSeed, schedules, stride = 1, progress } = campaign
  const counts = noCounts()
  let steps = 0
  for (let n = 0; n < schedules; n += 1) {
    const outcome = await runSchedule(fromSeed + n * stride, program)
    // A schedule never returns to the event loop, where Node lets go of what is not needed.
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    steps += outcome.steps
    addCounts(counts, outcome.counts)
    if (outcome.findings.length > 0) return { schedules: n + 1, steps, counts, failed: outcome }
    progress?.(n + 1)
  }
  return { schedules, steps, counts, failed: undefined }
}

export function addCounts(sum: Counts, more: Counts): void {
  for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += more[name]
}

/**
 * A simpler world in which the same seed still fails: fewer kinds of trouble, fewer records. Told
 * with its story. Every change makes another schedule of it, which may fail in another way.
 */
export async function shrunk(seed: number, program: ScheduleOptions): Promise<Outcome> {
  let limits: PlanLimits = program.limits ?? NO_LIMITS
  const fails = async (tried: PlanLimits): Promise<boolean> => {
    const { findings } = await runSchedule(seed, { ...program, limits: tried })
    return findings.length > 0
  }
  for (const trouble of TROUBLES) {
    const tried = { ...limits, without: new Set([...limits.without, trouble]) }
    if (await fails(tried)) limits = tried
  }
  for (let arrivalsMax = 1; arrivalsMax < 20; arrivalsMax += 1) {
    const tried = { ...limits, arrivalsMax }
    if (!(await fails(tried))) continue
    limits = tried
    break
  }
  return runSchedule(seed, { ...program, limits, traced: true })
}
