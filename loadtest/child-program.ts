/** Programs that a bench starts: our own binary or a peer's as a process, watched to its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Failure } from '../platform/failure.ts'

const TAIL_CHARS = 2000
const END_MS = 15_000

export type ChildProgram = Readonly<{
  pid: number
  /** Resolves when a role says that it is ready; rejects when it ends before. */
  ready: Promise<unknown>
  /** Resolves when it has ended with 0; otherwise rejects with the end of what it printed. */
  ended: Promise<void>
  /**
   * Resolves when it says this, as a message of this type, which it gives, or as a line; rejects
   * when it ends before.
   */
  says(word: string): Promise<unknown>
  /** Asks it to end, and makes it end after a while. */
  end(): Promise<void>
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>
}>

/** `weir <args>` of this very build; `nodeFlags` are Node's own. */
export const startWeir = (
  args: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
  nodeFlags: readonly string[] = [],
) => {
  const weir = join(import.meta.dirname, '../cli/weir.js')
  return startProgram(['--enable-source-maps', ...nodeFlags, weir, ...args], env)
}

/** A program of Node's, which may tell us things over its channel. */
export const startProgram = (args: readonly string[], env: Readonly<NodeJS.ProcessEnv>) =>
  watched(spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }))

/** Any other program, which may tell us things in lines on standard output. */
export const startCommand = (
  command: string,
  args: readonly string[],
  options: Readonly<{ env: Readonly<NodeJS.ProcessEnv>; cwd?: string }>,
) => watched(spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] }))

function watched(child: ChildProcess): ChildProgram {
  let tail = ''
  const keep = (chunk: Buffer): void => void (tail = (tail + chunk.toString()).slice(-TAIL_CHARS))
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const ended = endOf(child, () => tail)
  const says = (word: string): Promise<unknown> =>
    Promise.race([
      new Promise<unknown>((resolve) => {
        child.on('message', (sent) => typeOf(sent) === word && resolve(sent))
        child.stdout?.on('data', () => tail.split('\n').includes(word) && resolve(word))
      }),
      ended,
    ])
  const ready = says('ready')
  // Whoever waits for one of them sees the failure; the other must not end the process.
  ready.catch(() => {})
  ended.catch(() => {})
  const stopped = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    const impatience = setTimeout(() => child.kill('SIGKILL'), END_MS)
    await exit
    clearTimeout(impatience)
  }
  return {
    pid: child.pid ?? -1,
    ...{ ready, ended, says },
    end: () => stopped('SIGTERM'),
    kill: () => stopped('SIGKILL'),
  }
}

const typeOf = (sent: unknown): unknown =>
  typeof sent === 'object' && sent !== null && 'type' in sent ? sent.type : undefined

async function endOf(child: ChildProcess, tail: () => string): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new Failure('unavailable', `${child.spawnfile} does not start`, { cause })),
    )
    child.once('close', resolve)
  })
  if (code === 0) return
  throw new Failure(
    'unavailable',
    `${child.spawnargs.slice(1).join(' ')} ended with ${code}:\n${tail()}`,
  )
}
