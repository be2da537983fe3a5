/**
 * One life of a child process, from spawn to exit. It ends itself when it is not ready in time or,
 * for a role, when its heartbeat stops. Whether there is another life is not decided here.
 *
 * Children get a process group of their own: Ctrl-C in a terminal then reaches only us, so that we
 * can stop them in order, and what they left behind can be ended as a group.
 */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import type { ChildSpec } from './child-spec.ts'
import type { RoleMessage } from './ipc-messages.ts'
import type { LastWill } from './last-will.ts'

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>
export type Addresses = Readonly<Record<string, string>>

export type LifeOptions = Readonly<{
  spec: ChildSpec
  /** A role is killed when it was silent for so long after it became ready. */
  heartbeatMissingMs: number
  stalled: () => void
}>

export class ChildLife {
  /** Resolves with what the child announced; rejects with a Failure if it ends before that. */
  readonly ready: Promise<Addresses>
  readonly exited: Promise<Exit>
  readonly #spec: ChildSpec
  readonly #process: ChildProcess
  readonly #over = new AbortController()
  readonly #wills = new Map<string, LastWill>()
  #beats = 0

  constructor(options: LifeOptions) {
    this.#spec = options.spec
    this.#process = spawnChild(options.spec)
    let spawnError: Error | undefined
    this.exited = new Promise((resolve) => {
      const end = (exit: Exit) => {
        this.#over.abort()
        this.#killGroup()
        resolve(exit)
      }
      this.#process.once('exit', (code, signal) => end({ code, signal }))
      this.#process.once('error', (error) => {
        spawnError = error
        if (this.#process.pid === undefined) end({ code: null, signal: null })
      })
    })
    this.ready = new Promise((resolve, reject) => {
      // Given up when the life is over, and then only the exit is worth telling.
      this.#untilReady(options).then(resolve, () => {})
      void this.exited.then((exit) => reject(notReady(options.spec, exit, spawnError)))
    })
    // Whoever restarts a child looks at its exit; only the first start looks at this.
    this.ready.catch(() => {})
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** What it left to be done for it, and did not take back. */
  get wills(): readonly LastWill[] {
    return [...this.#wills.values()]
  }

  /** Asks the child to end, and makes it end after `deadlineMs`. Resolves once it is gone. */
  async end(deadlineMs: number): Promise<void> {
    if (this.#over.signal.aborted) return
    this.#process.kill(this.#spec.shutdownSignal)
    const cutOff = setTimeout(() => this.kill(), deadlineMs)
    await this.exited
    clearTimeout(cutOff)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  async #untilReady(options: LifeOptions): Promise<Addresses> {
    const late = setTimeout(() => this.kill(), this.#spec.readyMs)
    try {
      const { readiness } = this.#spec
      if (readiness.kind === 'ipc') return await this.#announced(options)
      for (;;) {
        if (await readiness.probe(this.#process.pid ?? 0).catch(() => false)) return {}
        await sleep(readiness.everyMs, undefined, { signal: this.#over.signal })
      }
    } finally {
      clearTimeout(late)
    }
  }

  #announced({ heartbeatMissingMs, stalled }: LifeOptions): Promise<Addresses> {
    return new Promise((resolve, reject) => {
      this.#over.signal.addEventListener('abort', () => reject(new Error('ended')))
      this.#process.on('message', (message) => {
        this.#beats += 1
        // Our own roles send nothing else over the channel.
        const sent = message as RoleMessage
        if (sent.type === 'last_will') this.#keepWill(sent.id, sent.will)
        if (sent.type !== 'ready') return
        this.#watchHeartbeat(heartbeatMissingMs, stalled)
        resolve(sent.addresses)
      })
    })
  }

  #keepWill(id: string, will: LastWill | null): void {
    if (will === null) this.#wills.delete(id)
    else this.#wills.set(id, will)
  }

  /** After a pause of our own, waiting messages are read before the silence counts. */
  #watchHeartbeat(heartbeatMissingMs: number, stalled: () => void): void {
    let seen = this.#beats
    const timer = setInterval(() => {
      const before = seen
      setImmediate(() => {
        if (this.#over.signal.aborted) return
        if (this.#beats === before) {
          stalled()
          this.kill()
        }
        seen = this.#beats
      })
    }, heartbeatMissingMs)
    this.#over.signal.addEventListener('abort', () => clearInterval(timer))
  }

  /** The leader is gone; members of its group would hold its files and ports. */
  #killGroup(): void {
    const { pid } = this.#process
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // Nobody is left in the group, which is the usual case.
    }
  }
}

function spawnChild(spec: ChildSpec): ChildProcess {
  const output = spec.logFile === undefined ? undefined : openSync(spec.logFile, 'a')
  const stdio: StdioOptions = ['ignore', output ?? 'inherit', output ?? 'inherit']
  if (spec.readiness.kind === 'ipc') stdio.push('ipc')
  try {
    return spawn(spec.command, spec.args, {
      stdio,
      detached: true,
      env: spec.env === undefined ? process.env : { ...process.env, ...spec.env },
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
      ...(spec.uid === undefined ? {} : { uid: spec.uid }),
      ...(spec.gid === undefined ? {} : { gid: spec.gid }),
    })
  } finally {
    if (output !== undefined) closeSync(output)
  }
}

function notReady(spec: ChildSpec, exit: Exit, spawnError: Error | undefined): Failure {
  if (spawnError !== undefined) {
    const message = `${spec.id} cannot be started: ${spec.command}: ${spawnError.message}.`
    return new Failure('prerequisite_missing', message, { cause: spawnError })
  }
  const log = spec.logFile === undefined ? '' : `; its output is in ${spec.logFile}`
  const how = describeExit(exit)
  return new Failure('unavailable', `${spec.id} ${how} before it was ready${log}.`)
}

export function describeExit({ code, signal }: Exit): string {
  return signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was ended by ${signal}`
}
