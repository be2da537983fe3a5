/**
 * Records of the processes we started, in the run folder: one file per process with its number
 * and its start time. A supervisor that is killed with -9 leaves its children running; the next
 * start finds the records and ends exactly those.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  endProcess,
  identityOf,
  type ProcessIdentity,
  sendSignal,
  stillRuns,
} from './process-identity.ts'
import type { Progress } from './server-place.ts'

/** Everything here survives being killed, so it is not given long. */
const PATIENCE_MS = 3_000
const SUFFIX = '.pid.json'

export function recordProcess(runDir: string, id: string, pid: number): void {
  const identity = identityOf(pid)
  if (identity === undefined) return
  mkdirSync(runDir, { recursive: true })
  writeFileSync(join(runDir, `${id}${SUFFIX}`), JSON.stringify(identity))
}

/** Ends what an earlier run left behind, and says so. */
export async function endLeftovers(runDir: string, onProgress: Progress): Promise<void> {
  const ended: string[] = []
  const files = (await readdir(runDir).catch(() => [])).filter((name) => name.endsWith(SUFFIX))
  await Promise.all(
    files.map(async (name) => {
      const recorded = await readIdentity(join(runDir, name))
      if (recorded !== undefined && stillRuns(recorded)) {
        await endProcess(recorded.pid, 'SIGTERM', PATIENCE_MS)
        ended.push(name.slice(0, -SUFFIX.length))
      }
      await rm(join(runDir, name), { force: true })
    }),
  )
  if (ended.length === 0) return
  onProgress({ kind: 'note', what: `an earlier run left ${ended.toSorted().join(', ')}: ended` })
}

/** Forgets all records: for an orderly stop. */
export async function forgetProcesses(runDir: string): Promise<void> {
  for (const name of await readdir(runDir).catch(() => [])) {
    if (name.endsWith(SUFFIX)) await rm(join(runDir, name), { force: true })
  }
}

/** Undefined when the file is missing or was cut short. */
export async function readIdentity(file: string): Promise<ProcessIdentity | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return identityIn(text)
}

function identityIn(text: string): ProcessIdentity | undefined {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json !== 'object' || json === null) return undefined
    if (!('pid' in json) || !('started' in json)) return undefined
    const { pid, started } = json
    return typeof pid === 'number' && typeof started === 'string' ? { pid, started } : undefined
  } catch {
    return undefined
  }
}

/** Kills everything recorded at once: for a person who does not want to wait. */
export function killRecorded(runDir: string): void {
  for (const name of readdirSync(runDir).filter((file) => file.endsWith(SUFFIX))) {
    const recorded = identityIn(readFileSync(join(runDir, name), 'utf8'))
    if (recorded !== undefined && stillRuns(recorded)) sendSignal(recorded.pid, 'SIGKILL')
  }
}
