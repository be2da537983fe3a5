/**
 * Whether the tables and the log keep what the options promise. Windows are corrected from raw rows,
 * hours and days from minutes and hours; where those may be gone in part, a correction would turn a
 * right window into a wrong one. So nothing is written until the promise was seen to hold, and it is
 * looked at again while the process runs.
 */
import type { Clock } from '../platform/clock.ts'
import { spelledOut } from '../platform/config/option-names.ts'
import { Failure } from '../platform/failure.ts'
import { DAY_MS, logAgeMsMax } from '../schemas/telemetry.ts'
import { aroundEach, type RollupSink } from './sinks/rollup-sink.ts'

type Promised = Readonly<{ rawRetentionDays: number; logRetentionDays: number }>

export type RetentionPorts = Readonly<{
  /** Days by table; Infinity for a table that forgets nothing. */
  tableDays(): Promise<ReadonlyMap<string, number>>
  /** Every setting in force for the topic of telemetry. */
  topicConfig(): Promise<ReadonlyMap<string, string>>
  clock: Pick<Clock, 'monotonicMs'>
}>

/** Raw rows, and what hours and days are merged from. */
const SOURCES = ['samples', 'rollup_1m', 'rollup_1h']
const CHECK_INTERVAL_MS = 600_000

export class RetentionCheck {
  readonly #ports: RetentionPorts
  readonly #promised: Promised
  #heldAtMs: number | undefined

  constructor(ports: RetentionPorts, promised: Promised) {
    this.#ports = ports
    this.#promised = promised
  }

  /**
   * Rejects with config_invalid and a sentence that names the option where the promise is broken,
   * with a failure that may pass where nobody answers.
   */
  async mustHold(): Promise<void> {
    const nowMs = this.#ports.clock.monotonicMs()
    if (this.#heldAtMs !== undefined && nowMs - this.#heldAtMs < CHECK_INTERVAL_MS) return
    const { tableDays, topicConfig } = this.#ports
    const [days, config] = await Promise.all([tableDays(), topicConfig()])
    const problems = [
      ...tableProblems(days, this.#promised),
      ...logProblems(config, this.#promised),
    ]
    if (problems.length > 0) throw new Failure('config_invalid', problems.join(' '))
    this.#heldAtMs = nowMs
  }
}

/** A sink that is used only while the promise holds. */
export const checkedSink = (sink: RollupSink, check: RetentionCheck): RollupSink =>
  aroundEach(sink, async (attempt) => {
    await check.mustHold()
    return attempt()
  })

function tableProblems(days: ReadonlyMap<string, number>, promised: Promised): readonly string[] {
  return SOURCES.flatMap((table) => {
    const kept = days.get(table)
    if (kept === undefined) throw new Failure('unavailable', `there is no table ${table} yet`)
    if (kept >= promised.rawRetentionDays) return []
    const option = spelledOut('rawRetentionDays')
    return `The table ${table} keeps its rows for ${kept} days, and ${option} says ${promised.rawRetentionDays}: corrections would count what is left of a window. Say ${kept}, or let weir migrate change the table.`
  })
}

function logProblems(config: ReadonlyMap<string, string>, promised: Promised): readonly string[] {
  const retentionMs = Number(config.get('retention.ms'))
  const segmentMs = Number(config.get('segment.ms'))
  // -1 is for ever. What is never said in words is not believed either.
  const isForEver = !(retentionMs >= 0 && segmentMs >= 0)
  if (!isForEver && retentionMs + segmentMs <= logAgeMsMax(promised)) return []
  const option = spelledOut('logRetentionDays')
  const kept = isForEver
    ? 'for ever'
    : `for up to ${(retentionMs + segmentMs) / DAY_MS} days (retention.ms and segment.ms)`
  return [
    `The topic of telemetry keeps its records ${kept}, and ${option} says ${promised.logRetentionDays} and a day for the segment: records could outlive the raw rows that late samples among them are corrected from. Say more, or let weir migrate change the topic.`,
  ]
}
