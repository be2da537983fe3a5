/**
 * A stand-in for the supervisor: starts children, waits until they are ready, stops them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { Failure } from '../platform/failure.ts'
import { endProcess } from './process-identity.ts'

export class ChildRunner {
  readonly #children: { spec: ChildSpec; child: ChildProcess }[] = []

  async start(spec: ChildSpec): Promise<void> {
    const log = spec.logFile === undefined ? 'inherit' : openSync(spec.logFile, 'a')
    const child = spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      ...(spec.env === undefined ? {} : { env: { ...process.env, ...spec.env } }),
      ...(spec.uid === undefined ? {} : { uid: spec.uid }),
      ...(spec.gid === undefined ? {} : { gid: spec.gid }),
      stdio: ['ignore', log, log],
      detached: true,
    })
    if (typeof log === 'number') closeSync(log)
    this.#children.push({ spec, child })
    let ended = false
    child.on('error', () => (ended = true))
    child.on('exit', () => (ended = true))
    if (spec.readiness.kind !== 'probe') return
    for (let waitedMs = 0; waitedMs < spec.readyMs; waitedMs += spec.readiness.everyMs) {
      if (child.pid !== undefined && !ended && (await spec.readiness.probe(child.pid))) return
      if (ended) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Failure('unavailable', `${spec.id} did not start; its log: ${spec.logFile ?? '-'}`)
  }

  async stop(): Promise<void> {
    for (const { spec, child } of this.#children.toReversed()) {
      if (child.pid !== undefined) await endProcess(child.pid, spec.shutdownSignal, spec.shutdownMs)
    }
  }
}
