/**
 * Where one server of the local stack lives and whom it tells what it is doing. Every server file
 * takes a place and gives the specification of a child process, ready to be supervised.
 */
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'

/** A step that may take seconds: how far it is is told once at its start and once at its end. */
export type Progress = (
  step: Readonly<{ what: string; state: 'start' | 'done'; ms?: number }>,
) => void

export type ServerPlace = Readonly<{
  /** What the server must keep. */
  dataDir: string
  /** Server programs, unpacked. May be shared by several stacks. */
  serversDir: string
  logFile: string
  host: string
  port: number
  onProgress: Progress
  /** Called with the process id as soon as it is known: a killed supervisor leaves orphans. */
  onSpawn: (id: string, pid: number) => void
}>

/** Runs a step between its two progress lines. */
export async function withProgress<T>(
  onProgress: Progress,
  what: string,
  step: () => Promise<T>,
): Promise<T> {
  const startedMs = performance.now()
  onProgress({ what, state: 'start' })
  const result = await step()
  onProgress({ what, state: 'done', ms: Math.round(performance.now() - startedMs) })
  return result
}

/** The readiness of a server: its process id is recorded before it is probed for the first time. */
export function probed(
  place: ServerPlace,
  id: string,
  probe: () => Promise<boolean>,
): ChildSpec['readiness'] {
  let recorded = 0
  return {
    kind: 'probe',
    everyMs: 100,
    probe: async (pid) => {
      if (recorded !== pid) place.onSpawn(id, pid)
      recorded = pid
      return probe()
    },
  }
}
