/**
 * Records of the processes we started, in the run folder: one file per process with its number
 * and its start time. A supervisor that is killed with -9 leaves its children running; the next
 * start finds the records and ends exactly those.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { endProcess, identityOf, type ProcessIdentity, stillRuns } from './process-identity.ts'

const SUFFIX = '.pid.json'

export function recordProcess(runDir: string, id: string, pid: number): void {
  const identity = identityOf(pid)
  if (identity === undefined) return
  mkdirSync(runDir, { recursive: true })
  writeFileSync(join(runDir, `${id}${SUFFIX}`), JSON.stringify(identity))
}

/** Ends what an earlier run left behind; gives the ids of those that still ran. */
export async function endLeftovers(runDir: string): Promise<readonly string[]> {
  const ended: string[] = []
  const files = (await readdir(runDir).catch(() => [])).filter((name) => name.endsWith(SUFFIX))
  await Promise.all(
    files.map(async (name) => {
      const recorded = await readIdentity(join(runDir, name))
      if (recorded !== undefined && stillRuns(recorded)) {
        await endProcess(recorded.pid, 'SIGTERM', 5000)
        ended.push(name.slice(0, -SUFFIX.length))
      }
      await rm(join(runDir, name), { force: true })
    }),
  )
  return ended
}

/** Forgets all records: for an orderly stop. */
export async function forgetProcesses(runDir: string): Promise<void> {
  for (const name of await readdir(runDir).catch(() => [])) {
    if (name.endsWith(SUFFIX)) await rm(join(runDir, name), { force: true })
  }
}

/** Undefined when the file is missing or was cut short. */
export async function readIdentity(file: string): Promise<ProcessIdentity | undefined> {
  try {
    const json: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (typeof json !== 'object' || json === null) return undefined
    if (!('pid' in json) || !('started' in json)) return undefined
    return typeof json.pid === 'number' && typeof json.started === 'string'
      ? { pid: json.pid, started: json.started }
      : undefined
  } catch {
    return undefined
  }
}
