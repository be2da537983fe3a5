/**
 * One measured stretch of work: CPU seconds of each server on its own line, with a fixed loop of
 * pure computation before and after that says whether the machine was as fast at both ends.
 */
import { cpuSeconds, residentMiB, stolenAndTotalTicks } from './process-cpu.ts'

/** Servers by the name that the table shows. */
export type Servers = ReadonlyMap<string, number>

export type MeasuredRound = Readonly<{
  tookS: number
  /** CPU seconds by server. */
  cpuS: ReadonlyMap<string, number>
  residentMiB: ReadonlyMap<string, number>
  generatorCpuS: number
  /** The slower of the two loops against the faster one: 0 is a steady machine. */
  drift: number
  stolen: number
}>

/** A machine that changed its speed by more than this during a round measured something else. */
export const DRIFT_MAX = 0.1

/** Rejects when a server went away: its CPU time would be missing from the sum. */
export async function measured<T>(
  servers: Servers,
  work: () => Promise<T>,
): Promise<Readonly<{ round: MeasuredRound; result: T }>> {
  const loopBefore = fixedLoopMs()
  const ticks = stolenAndTotalTicks()
  const before = cpuOf(servers)
  const ownBefore = process.cpuUsage()
  const startMs = performance.now()
  const result = await work()
  const tookS = (performance.now() - startMs) / 1000
  const own = process.cpuUsage(ownBefore)
  const after = cpuOf(servers)
  const ticksAfter = stolenAndTotalTicks()
  const loopAfter = fixedLoopMs()
  const cpuS = new Map(
    [...after].map(([name, value]) => [name, value - (before.get(name) ?? Number.NaN)]),
  )
  return {
    result,
    round: {
      tookS,
      cpuS,
      residentMiB: new Map([...servers].map(([name, pid]) => [name, residentMiB(pid)])),
      generatorCpuS: (own.user + own.system) / 1e6,
      drift: Math.max(loopBefore, loopAfter) / Math.min(loopBefore, loopAfter) - 1,
      stolen: (ticksAfter.stolen - ticks.stolen) / Math.max(1, ticksAfter.total - ticks.total),
    },
  }
}

function cpuOf(servers: Servers): Map<string, number> {
  return new Map(
    [...servers].map(([name, pid]) => {
      const seconds = cpuSeconds(pid)
      if (seconds === undefined) throw new Error(`${name} (process ${pid}) is gone`)
      return [name, seconds]
    }),
  )
}

/** CPU time, not wall time: a neighbour's work on the same core is not our machine's speed. */
function fixedLoopMs(): number {
  const before = process.cpuUsage().user
  let x = 1
  for (let i = 0; i < 20_000_000; i++) x = Math.imul(x, 1_664_525) + 1_013_904_223
  const tookMs = (process.cpuUsage().user - before) / 1000
  // The result is used, so that no compiler may leave the loop out.
  return tookMs + (x === 0 ? 1 : 0)
}
