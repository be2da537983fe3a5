/**
 * Processes by identity, not by number: numbers are used again. A process is the same one if its
 * number and its start time agree. Start times come from /proc; where there is none (macOS) from
 * ps.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export type ProcessIdentity = Readonly<{ pid: number; started: string }>

/** Undefined when there is no such process, or only its unreaped remains. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  if (process.platform !== 'linux') return identityFromPs(pid)
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything; what follows the last one is regular.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, started] = [fields[0], fields[19]]
    if (state === 'Z' || state === 'X' || started === undefined) return undefined
    return { pid, started }
  } catch {
    return undefined
  }
}

function identityFromPs(pid: number): ProcessIdentity | undefined {
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)])
      .toString()
      .trim()
    return started === '' ? undefined : { pid, started }
  } catch {
    return undefined
  }
}

export const isAlive = (pid: number): boolean => identityOf(pid) !== undefined

/** Whether the very process that was recorded still runs. */
export const stillRuns = (recorded: ProcessIdentity): boolean =>
  identityOf(recorded.pid)?.started === recorded.started

/** Asks a process to end, waits, and kills it when it does not. */
export async function endProcess(
  pid: number,
  signal: 'SIGTERM' | 'SIGINT',
  patienceMs: number,
): Promise<void> {
  const identity = identityOf(pid)
  if (identity === undefined) return
  sendSignal(pid, signal)
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 50) {
    if (!stillRuns(identity)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  sendSignal(pid, 'SIGKILL')
  for (let waitedMs = 0; waitedMs < 5000 && stillRuns(identity); waitedMs += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Sends a signal, and does not mind when the process is gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended between the question and the signal, which is what was wanted.
  }
}
