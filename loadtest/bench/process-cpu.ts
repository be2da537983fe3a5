/**
 * CPU seconds of other processes, from procfs, and which process serves a port. The servers are
 * not asked: what they say of themselves is part of what is measured.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

/** USER_HZ: the unit of utime and stime in /proc/<pid>/stat, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** User and system time of a process and all its threads, in seconds; undefined when it is gone. */
export function cpuSeconds(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  return stat === undefined ? undefined : secondsIn(stat)
}

/** The part of it that threads of this name have used, as long as they live. */
export function threadCpuSeconds(pid: number, threadName: string): number {
  let sum = 0
  for (const task of tasksOf(pid)) {
    if (readText(`/proc/${pid}/task/${task}/comm`)?.trim() !== threadName) continue
    // A thread that ended between the two reads is missing, as it would be a moment later.
    sum += secondsIn(readText(`/proc/${pid}/task/${task}/stat`) ?? '')
  }
  return sum
}

function secondsIn(stat: string): number {
  // The second field is the program's name in parentheses and may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND
}

function tasksOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return [] // Gone; whoever asks for the process's own time learns it.
  }
}

/** Resident memory in MiB: now, and the most that it ever was. */
export function residentMiB(pid: number): Readonly<{ now: number; peak: number }> {
  const status = readText(`/proc/${pid}/status`) ?? ''
  const mib = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024
  return { now: mib('VmRSS'), peak: mib('VmHWM') }
}

/** The process that listens on a TCP port of this machine, if we may see it. */
export function pidListeningOn(port: number): number | undefined {
  const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => listeningInodes(table, port)))
  if (inodes.size === 0) return undefined
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name) && holdsSocket(name, inodes)) return Number(name)
  }
  return undefined
}

const LISTEN = '0A'

function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = (readText(`/proc/net/${table}`) ?? '').split('\n').slice(1)
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) === true && fields[3] === LISTEN)
    .map((fields) => `socket:[${fields[9]}]`)
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`))
      } catch {
        return false // Closed meanwhile.
      }
    })
  } catch {
    return false // Ended meanwhile, or not ours to see.
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Time that the hypervisor took from this machine, as a share of all CPU time since boot. */
export function stolenAndTotalTicks(): Readonly<{ stolen: number; total: number }> {
  const [line = ''] = (readText('/proc/stat') ?? '').split('\n')
  const ticks = line.trim().split(/\s+/).slice(1).map(Number)
  return { stolen: ticks[7] ?? 0, total: ticks.reduce((sum, value) => sum + value, 0) }
}
