/**
 * Whom Postgres runs as when we are root.
 */
import { readFile } from 'node:fs/promises'
import { Failure } from '../platform/failure.ts'

export type UnixUser = Readonly<{ name: string; uid: number; gid: number }>

/** Undefined when we are not root; else an ordinary user that every system has. */
export async function unprivilegedUser(): Promise<UnixUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const passwd = await readFile('/etc/passwd', 'utf8')
  for (const name of ['postgres', 'nobody']) {
    const line = passwd.split('\n').find((entry) => entry.startsWith(`${name}:`))
    const [, , uid, gid] = line?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new Failure(
    'prerequisite_missing',
    'Postgres refuses to run as root, and there is neither a user postgres nor nobody: create one, or run as an ordinary user.',
  )
}
