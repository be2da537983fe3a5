/** Starting services in order and draining them in the reverse order, within one deadline. */
import type { Clock } from '../clock.ts'
import type { Service } from './service.ts'

export type Drained = Readonly<{ service: string; error: unknown }>

/** Starts downstream first; each started service is pushed to `started` for drainServices(). */
export async function startServices(
  services: readonly Service[],
  started: Service[],
): Promise<void> {
  for (const service of services) {
    await service.start()
    started.push(service)
  }
}

/**
 * Drains the last started first, each with what is left of the deadline. A service that fails to
 * drain does not keep the others from draining; its error is in the result.
 */
export async function drainServices(
  started: readonly Service[],
  deadlineMs: number,
  clock: Clock,
): Promise<readonly Drained[]> {
  const endMs = clock.monotonicMs() + deadlineMs
  const failed: Drained[] = []
  for (const service of started.toReversed()) {
    try {
      await service.drain(Math.max(0, endMs - clock.monotonicMs()))
    } catch (error) {
      failed.push({ service: service.name, error })
    }
  }
  return failed
}
