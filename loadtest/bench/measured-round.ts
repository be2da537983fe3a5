/**
 * One measured stretch of work: CPU seconds of each server on its own line, with a fixed loop of
 * pure computation before and after that says whether the machine was as fast at both ends.
 */
import { cpuSeconds, residentMiB, stolenAndTotalTicks, threadCpuSeconds } from './process-cpu.ts'

/** Servers by the name that the table shows. */
export type Servers = ReadonlyMap<string, number>

export type MeasuredRound = Readonly<{
  tookS: number
  /** CPU seconds by server. */
  cpuS: ReadonlyMap<string, number>
  residentMiB: ReadonlyMap<string, number>
  /** The most that it ever was, since each process started. */
  peakMiB: ReadonlyMap<string, number>
  generatorCpuS: number
  /** The slower of the two loops against the faster one: 0 is a steady machine. */
  drift: number
  stolen: number
}>

/** A machine that changed its speed by more than this during a round measured something else. */
export const DRIFT_MAX = 0.1

/** Processes whose work is two things: the threads of this name have a line of their own. */
const MERGES = { server: 'clickhouse', thread: 'MergeMutate', line: 'clickhouse merges' } as const

/** What the processes under measurement have used since it was made, or since they were born. */
export class CpuMeter {
  readonly #pids: Map<string, number>
  readonly #before = new Map<string, number>()
  readonly #done = new Map<string, number>()
  readonly resident = new Map<string, number>()
  readonly peak = new Map<string, number>()

  constructor(servers: Servers) {
    this.#pids = new Map(servers)
    for (const name of servers.keys()) {
      for (const [line, seconds] of this.#linesOf(name)) this.#before.set(line, seconds)
    }
  }

  /** A process that was just started: all its life counts, its start included. */
  add(name: string, pid: number): void {
    this.#pids.set(name, pid)
  }

  /** CPU seconds of a process so far, merges included. */
  secondsOf(name: string): number {
    return this.#linesOf(name).reduce(
      (sum, [line, seconds]) => sum + seconds - (this.#before.get(line) ?? 0),
      0,
    )
  }

  /** Reads a process for the last time, for it will end now. Rejects when it is gone already. */
  finish(name: string): void {
    const pid = this.#pids.get(name)
    if (pid === undefined) return
    for (const [line, seconds] of this.#linesOf(name)) {
      this.#done.set(line, seconds - (this.#before.get(line) ?? 0))
    }
    const { now, peak } = residentMiB(pid)
    this.resident.set(name, now)
    this.peak.set(name, peak)
    this.#pids.delete(name)
  }

  /** Of all, by line of the table. */
  finishAll(): ReadonlyMap<string, number> {
    for (const name of [...this.#pids.keys()]) this.finish(name)
    return this.#done
  }

  #linesOf(name: string): readonly (readonly [string, number])[] {
    const pid = this.#pids.get(name) ?? -1
    const seconds = cpuSeconds(pid)
    // Its time would be missing from the sum.
    if (seconds === undefined) throw new Error(`${name} (process ${pid}) is gone`)
    if (name !== MERGES.server) return [[name, seconds]]
    const merges = threadCpuSeconds(pid, MERGES.thread)
    return [
      [name, seconds - merges],
      [MERGES.line, merges],
    ]
  }
}

/** Rejects when a server went away. `work` may add processes that it starts. */
export async function measured<T>(
  servers: Servers,
  work: (meter: CpuMeter) => Promise<T>,
): Promise<Readonly<{ round: MeasuredRound; result: T }>> {
  const loopBefore = fixedLoopMs()
  const ticks = stolenAndTotalTicks()
  const meter = new CpuMeter(servers)
  const ownBefore = process.cpuUsage()
  const startMs = performance.now()
  const result = await work(meter)
  const tookS = (performance.now() - startMs) / 1000
  const own = process.cpuUsage(ownBefore)
  const cpuS = meter.finishAll()
  const ticksAfter = stolenAndTotalTicks()
  const loopAfter = fixedLoopMs()
  return {
    result,
    round: {
      tookS,
      cpuS,
      residentMiB: meter.resident,
      peakMiB: meter.peak,
      generatorCpuS: (own.user + own.system) / 1e6,
      drift: Math.max(loopBefore, loopAfter) / Math.min(loopBefore, loopAfter) - 1,
      stolen: (ticksAfter.stolen - ticks.stolen) / Math.max(1, ticksAfter.total - ticks.total),
    },
  }
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
