/** `weir dlq resume`: a person's word that a paused partition goes on. */
import { systemClock } from '../../platform/clock.ts'
import type { OptionTable } from '../../platform/config/options.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { operatorCommand } from '../operator/operator-command.ts'
import { atDesk, type Desk, DESK_OPTIONS, printJson } from '../operator/operator-desk.ts'
import { sleep, systemTimers } from '../timers.ts'
import { parseCheckpoint } from '../window/checkpoint.ts'
import { passesGroup, writePass } from './breaker-passes.ts'
import { FILTER_OPTIONS } from './letter-filter.ts'

const POLL_MS = 200
/** A partition that is read commits each flush: standing still for so long, it is not. */
const STILL_MS = 3_000
/** One that has come forward for so long is far behind, and not paused. */
const WATCH_MS = 15_000

export const RESUME_OPTIONS = {
  ...DESK_OPTIONS,
  partition: { ...FILTER_OPTIONS.partition, doc: 'The paused partition; it must be given.' },
  upTo: {
    kind: 'integer',
    default: -1,
    min: -1,
    max: Number.MAX_SAFE_INTEGER,
    doc: 'Offset before which everything unreadable is dead-lettered; -1: the end as of now.',
  },
} as const satisfies OptionTable

export const resumeCommand = operatorCommand({
  name: 'dlq resume',
  summary: 'lets a partition go on that was paused because too much of it is unreadable',
  options: RESUME_OPTIONS,
  run: (options) =>
    atDesk(options, async (desk) => {
      const { log, admin, telemetryTopic: topic } = desk
      const { partition, topicPrefix } = options
      if (partition < 0) throw new Failure('config_invalid', '--partition says which one goes on')
      const end = (await admin.offsetRange(topic)).get(partition)?.end
      if (end === undefined)
        throw new Failure('not_found', `${topic} has no partition ${partition}`)
      const upTo = options.upTo < 0 ? end : options.upTo
      const isRead = await goesOn(desk, { group: `${topicPrefix}rollup`, partition, end })
      // An offset that somebody names may be meant for what is still to come.
      if (isRead && upTo <= end) {
        process.stdout.write(`Partition ${partition} is not paused: it is being read.\n`)
        printJson(options.json, { partition, paused: false })
        return EXIT.ok
      }
      await writePass(log, { group: passesGroup(topicPrefix), topic, partition, upTo })
      process.stdout.write(
        `Partition ${partition} goes on: unreadable records before offset ${upTo} become dead letters.\n`,
      )
      printJson(options.json, { partition, paused: !isRead, upTo })
      return EXIT.ok
    }),
})

/** Whether the partition is read: up to the end that it had, or at least further and further. */
async function goesOn(
  { admin, telemetryTopic }: Desk,
  { group, partition, end }: Readonly<{ group: string; partition: number; end: number }>,
): Promise<boolean> {
  const startedMs = systemClock.monotonicMs()
  let [position, movedMs] = [-1, startedMs]
  for (;;) {
    const committed = (await admin.committed(group, telemetryTopic)).get(partition)
    const read =
      committed === undefined
        ? undefined
        : parseCheckpoint(committed.offset, committed.metadata)?.position
    const nowMs = systemClock.monotonicMs()
    if (read !== undefined && read >= end) return true
    if (read !== undefined && read > position) [position, movedMs] = [read, nowMs]
    if (nowMs - movedMs >= STILL_MS) return false
    if (nowMs - startedMs >= WATCH_MS) return true
    await sleep(systemTimers, POLL_MS)
  }
}
