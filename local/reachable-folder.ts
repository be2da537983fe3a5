/**
 * A folder that another user can reach. A checkout below /root, or a private temporary folder, lets
 * nobody else in; then a folder under /var/tmp stands in for it, and a mark is left in its place.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { lstat, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Failure } from '../platform/failure.ts'
import type { Progress } from './server-place.ts'
import type { UnixUser } from './unix-user.ts'

const SHELTER = '/var/tmp'
const MARK = 'is-elsewhere'

/** The folder itself if `user` can reach it, else its stand-in, which is told once. */
export async function reachableFolder(
  wanted: Readonly<{ folder: string; what: string; user: UnixUser; onProgress: Progress }>,
): Promise<string> {
  const folder = resolve(wanted.folder)
  if (await reachableByOthers(folder)) return folder
  const key = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  const elsewhere = join(SHELTER, `weir-${key}`)
  const mark = join(folder, MARK)
  // Without its mark the folder was deleted since, and so was, to its owner, what it stood for.
  const isNew = !existsSync(mark)
  if (isNew) await rm(elsewhere, { recursive: true, force: true })
  await mkdir(elsewhere, { mode: 0o755 }).catch(() => {})
  const found = await lstat(elsewhere)
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new Failure('config_invalid', `${elsewhere} belongs to somebody else: remove it.`)
  }
  await mkdir(folder, { recursive: true })
  await writeFile(mark, `${elsewhere}\n`)
  if (isNew) {
    const what = `user ${wanted.user.name} cannot reach ${folder}, so Postgres has its ${wanted.what} in ${elsewhere}`
    wanted.onProgress({ kind: 'note', what })
  }
  return join(elsewhere, wanted.what)
}

/** Whether any user may walk down to the folder: each existing folder above must let others pass. */
async function reachableByOthers(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && (found.mode & 0o001) === 0) {
      // The data folder itself belongs to that user and lets nobody else in.
      if (path !== folder) return false
    }
    if (path === dirname(path)) return true
  }
}
