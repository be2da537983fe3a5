/**
 * Runs a program to its end and gives what it printed. For preparations (unpack, format, initdb),
 * not for servers.
 */
import { spawn } from 'node:child_process'
import { Failure } from '../platform/failure.ts'

export type RunOptions = Readonly<{
  cwd?: string
  env?: Readonly<NodeJS.ProcessEnv>
  /** Aborting ends the program with SIGTERM. */
  signal?: AbortSignal
  uid?: number
  gid?: number
}>

/** Rejects with the last lines of its output when it ends with another code than 0. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: { ...options.env } }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    })
    let output = ''
    const gather = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-100_000)
    }
    child.stdout.on('data', gather)
    child.stderr.on('data', gather)
    child.on('error', (error) => reject(notRun(command, error)))
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(output)
      const tail = output.trim().split('\n').slice(-8).join('\n')
      reject(new Failure('unavailable', `${command} ended with ${code ?? signal}:\n${tail}`))
    })
  })
}

const notRun = (command: string, error: Error): Failure =>
  error.name === 'AbortError'
    ? new Failure('shutting_down', `${command} was cut short.`, { cause: error })
    : new Failure('prerequisite_missing', `${command} cannot be run: ${error.message}`)
