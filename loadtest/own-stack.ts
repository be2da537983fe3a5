/**
 * The stack that a bench or a test of the whole system runs against: the one that a file
 * describes, or one of its own, started as a user starts it and gone afterwards.
 */
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../platform/lifecycle/exit-codes.ts'
import { packageRoot } from '../platform/package-root.ts'
import { type ChildProgram, startProgram } from './child-program.ts'

const POLL_MS = 25
const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export type OwnStackOptions = Readonly<{ serversDir: string; env: Readonly<NodeJS.ProcessEnv> }>

/** Gives `work` the path of a description; with an empty path starts a system without the demo. */
export async function withStack<T>(
  options: OwnStackOptions & Readonly<{ stack: string }>,
  work: (stackPath: string) => Promise<T>,
): Promise<T> {
  if (options.stack !== '') return work(options.stack)
  const own = await startOwnStack(options, ['--no-demo'])
  try {
    return await work(own.stackPath)
  } finally {
    await own.end()
  }
}

export type OwnStack = Readonly<{ stackPath: string; end(): Promise<void> }>

/** `npm start` with a folder and ports of its own. Downloaded servers are shared with the checkout. */
export async function startOwnStack(
  { serversDir, env }: OwnStackOptions,
  flags: readonly string[],
): Promise<OwnStack> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  // Postgres may run as another user, and would need a second folder that nobody clears away.
  chmodSync(folder, 0o755)
  const stackPath = join(folder, 'local.json')
  const [mqttPort, apiPort] = await freePorts()
  const program = startProgram(
    [
      join(packageRoot(), 'tools', 'start.mjs'),
      ...['--state-dir', folder],
      ...['--servers-dir', serversDir || resolve(packageRoot(), '.weir', 'servers')],
      ...['--mqtt-port', String(mqttPort)],
      ...['--api-port', String(apiPort)],
      ...flags,
    ],
    env,
  )
  const interrupted = (): void => void end().finally(() => process.exit(EXIT.failed))
  for (const signal of INTERRUPTIONS) process.once(signal, interrupted)
  const end = async (): Promise<void> => {
    for (const signal of INTERRUPTIONS) process.off(signal, interrupted)
    await program.end()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await Promise.race([appears(stackPath), endedTooEarly(program)])
    return { stackPath, end }
  } catch (error) {
    await end()
    throw error
  }
}

/** The description is written whole, and only when everything is ready. */
async function appears(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(POLL_MS)
}

async function endedTooEarly({ ended }: ChildProgram): Promise<never> {
  await ended
  throw new Error('npm start ended by itself')
}

/** Two ports that nobody has at this moment. */
async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()]
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return [ports[0] ?? 0, ports[1] ?? 0]
}
