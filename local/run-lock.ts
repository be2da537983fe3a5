/**
 * One run per state folder: a lock file with the holder's identity, so that the lock of a run that
 * was killed does not outlive it, whatever process has its number by now.
 */
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { spelledOut } from '../platform/config/option-names.ts'
import { Failure } from '../platform/failure.ts'
import { identityOf, type ProcessIdentity, stillRuns } from './process-identity.ts'
import { readIdentity } from './run-records.ts'

export type RunLock = Readonly<{
  /** Tells whoever comes second where the dashboard is. */
  announce(dashboardUrl: string): Promise<void>
  release(): Promise<void>
}>

/** Rejects with already_running, naming the process and its dashboard. */
export async function lockRun(stateDir: string): Promise<RunLock> {
  const runDir = join(stateDir, 'run')
  await mkdir(runDir, { recursive: true }).catch((error: unknown) => {
    const text = `${spelledOut('stateDir')} must be a folder that can be written: ${String(error)}.`
    throw new Failure('config_invalid', text, { cause: error })
  })
  const file = join(runDir, 'lock.json')
  const own = identityOf(process.pid)
  if (own === undefined) throw new Error('this process has no identity')
  await take(file, own)
  return {
    announce: async (dashboard) => {
      await writeFile(`${file}.${own.pid}`, JSON.stringify({ ...own, dashboard }))
      await rename(`${file}.${own.pid}`, file)
    },
    release: () => rm(file, { force: true }),
  }
}

async function take(file: string, own: ProcessIdentity): Promise<void> {
  const draft = `${file}.${own.pid}`
  await writeFile(draft, JSON.stringify(own))
  try {
    for (;;) {
      // A link appears with its whole content or not at all, and never replaces another.
      const taken = await link(draft, file).then(
        () => true,
        (error: unknown) => {
          if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
          throw error
        },
      )
      if (taken) return
      const holder = await readIdentity(file)
      if (holder !== undefined && stillRuns(holder)) throw await refusal(file, holder)
      await discardStale(file, own)
    }
  } finally {
    await rm(draft, { force: true })
  }
}

/** Moves the lock away before looking again: another process may have renewed it meanwhile. */
async function discardStale(file: string, own: ProcessIdentity): Promise<void> {
  const aside = `${file}.stale.${own.pid}`
  try {
    await rename(file, aside)
  } catch {
    return // Somebody else was faster.
  }
  const holder = await readIdentity(aside)
  if (holder !== undefined && stillRuns(holder)) await link(aside, file).catch(() => {})
  await rm(aside, { force: true })
}

async function refusal(file: string, holder: ProcessIdentity): Promise<Failure> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const dashboard = /"dashboard":"([^"]+)"/.exec(text)?.[1]
  const where = dashboard === undefined ? 'it is still starting' : `its dashboard is ${dashboard}`
  return new Failure(
    'already_running',
    `Weir runs already in this folder, as process ${holder.pid}; ${where}.`,
  )
}
