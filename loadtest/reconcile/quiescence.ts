/**
 * Waits until everything that was acknowledged has been counted: the pipeline's position, which is
 * in the metadata of its commits (`v3;P;…`: every record before P is durable, corrections
 * included), has passed the end that each partition had after the last acknowledgement.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import type { LogAdmin } from '../../platform/kafka/log.ts'

export type Quiescence = Readonly<{
  admin: LogAdmin
  topic: string
  group: string
  clock: Clock
  limitMs: number
}>

const POLL_MS = 200

/** Resolves with how long it took; rejects with `unavailable` at the limit, saying what is open. */
export async function waitUntilCounted(quiescence: Quiescence): Promise<number> {
  const { admin, topic, group, clock, limitMs } = quiescence
  const startMs = clock.monotonicMs()
  const ends = await admin.offsetRange(topic)
  for (;;) {
    const committed = await admin.committed(group, topic)
    const open = [...ends].filter(
      ([partition, { earliest, end }]) =>
        end > earliest && position(committed.get(partition)?.metadata) < end,
    )
    const tookMs = clock.monotonicMs() - startMs
    if (open.length === 0) return tookMs
    if (tookMs > limitMs) {
      const [partition, range] = open[0] ?? []
      const at = position(committed.get(partition ?? 0)?.metadata)
      throw new Failure(
        'unavailable',
        `after ${Math.round(tookMs / 1000)} s ${open.length} partitions of ${topic} are not counted; partition ${partition} is at ${at} of ${range?.end}`,
      )
    }
    await sleep(POLL_MS)
  }
}

/** P of a checkpoint; -1 when there is none. */
function position(metadata: string | undefined): number {
  const match = /^v\d;(\d+);/.exec(metadata ?? '')
  return match === null ? -1 : Number(match[1])
}
