/** Programs that a bench starts: our own binary as a process, watched to its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Failure } from '../platform/failure.ts'

const TAIL_CHARS = 2000
const END_MS = 15_000

export type ChildProgram = Readonly<{
  pid: number
  /** Resolves when a role says that it is ready; rejects when it ends before. */
  ready: Promise<void>
  /** Resolves when it has ended with 0; otherwise rejects with the end of what it printed. */
  ended: Promise<void>
  /** Asks it to end, and makes it end after a while. */
  end(): Promise<void>
}>

/** `weir <args>` of this very build. */
export const startWeir = (args: readonly string[], env: Readonly<NodeJS.ProcessEnv>) =>
  startProgram(['--enable-source-maps', join(import.meta.dirname, '../cli/weir.js'), ...args], env)

export function startProgram(
  args: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
): ChildProgram {
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let tail = ''
  const keep = (chunk: Buffer): void => void (tail = (tail + chunk.toString()).slice(-TAIL_CHARS))
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const ended = endOf(child, () => tail)
  const ready = Promise.race([
    new Promise<void>((resolve) => child.on('message', (sent) => isReady(sent) && resolve())),
    ended,
  ])
  // Whoever waits for one of them sees the failure; the other must not end the process.
  ready.catch(() => {})
  ended.catch(() => {})
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    const impatience = setTimeout(() => child.kill('SIGKILL'), END_MS)
    await exit
    clearTimeout(impatience)
  }
  return { pid: child.pid ?? -1, ready, ended, end }
}

const isReady = (sent: unknown): boolean =>
  typeof sent === 'object' && sent !== null && 'type' in sent && sent.type === 'ready'

async function endOf(child: ChildProcess, tail: () => string): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code === 0) return
  throw new Failure(
    'unavailable',
    `${child.spawnargs.slice(2).join(' ')} ended with ${code}:\n${tail()}`,
  )
}
