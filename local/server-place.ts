/**
 * Where one server of the local stack lives and whom it tells what it is doing. Every server file
 * takes a place and gives the specification of a child process, ready to be supervised.
 */
import { systemClock } from '../platform/clock.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'

/** A step tells when it begins and when it is done; a note is a sentence by itself. */
export type ProgressStep =
  | Readonly<{ kind: 'start'; what: string }>
  | Readonly<{ kind: 'done'; what: string; tookMs: number }>
  | Readonly<{ kind: 'note'; what: string }>
export type Progress = (step: ProgressStep) => void

export type ServerPlace = Readonly<{
  /** What the server must keep. */
  dataDir: string
  /** Server programs, unpacked. May be shared by several stacks. */
  serversDir: string
  logFile: string
  host: string
  port: number
  onProgress: Progress
  /** Cuts preparations short; the server itself is stopped by its supervisor. */
  signal: AbortSignal
}>

/** Runs a step between its two progress lines. */
export async function withProgress<T>(
  onProgress: Progress,
  what: string,
  step: () => Promise<T>,
): Promise<T> {
  const startedMs = systemClock.monotonicMs()
  onProgress({ kind: 'start', what })
  const result = await step()
  onProgress({ kind: 'done', what, tookMs: systemClock.monotonicMs() - startedMs })
  return result
}

/** Readiness by a question in the server's own protocol. */
export const probed = (probe: () => Promise<boolean>): ChildSpec['readiness'] => ({
  kind: 'probe',
  everyMs: 100,
  probe,
})
