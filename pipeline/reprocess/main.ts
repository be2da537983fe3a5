/** `weir reprocess`: recomputes windows from raw samples while everything runs. */
import { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import { systemClock } from '../../platform/clock.ts'
import type { OptionTable, OptionValues } from '../../platform/config/options.ts'
import { CLICKHOUSE_OPTIONS, RETENTION_OPTIONS } from '../../platform/config/shared-options.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { DAY_MS } from '../../schemas/telemetry.ts'
import { operatorCommand } from '../operator/operator-command.ts'
import {
  atDesk,
  type Desk,
  DESK_OPTIONS,
  DRY_RUN_OPTION,
  printJson,
} from '../operator/operator-desk.ts'
import { progressLine } from '../operator/progress-line.ts'
import { timeOf } from '../operator/time-option.ts'
import { clickhouseSink } from '../sinks/clickhouse-sink.ts'
import { sleep, systemTimers } from '../timers.ts'
import { parseCheckpoint } from '../window/checkpoint.ts'
import { RawSamples } from './raw-samples.ts'
import { reprocess, type ReprocessReport } from './reprocess.ts'
import type { WindowCounts } from './rewritten-rows.ts'

export const REPROCESS_OPTIONS = {
  ...DESK_OPTIONS,
  ...CLICKHOUSE_OPTIONS,
  rawRetentionDays: RETENTION_OPTIONS.rawRetentionDays,
  from: {
    kind: 'text',
    placeholder: '2026-01-31T00:00:00Z',
    doc: 'First hour: RFC 3339, ms since 1970, or 7d ago.',
  },
  to: { kind: 'text', default: '', doc: 'End of the last hour, in the same forms; empty: now.' },
  tenant: { kind: 'text', default: '', doc: 'Only series of this tenant.' },
  device: { kind: 'text', default: '', doc: 'Only series of this device; needs the tenant.' },
  rate: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 10_000_000,
    doc: 'Windows folded in a second; 0: as fast as ClickHouse answers.',
  },
  ...DRY_RUN_OPTION,
} as const satisfies OptionTable

const POLL_MS = 200
const IDLE_MS = 30_000

type Options = OptionValues<typeof REPROCESS_OPTIONS>

export const reprocessCommand = operatorCommand({
  name: 'reprocess',
  summary: 'recomputes closed windows from raw samples, and writes those that differ',
  options: REPROCESS_OPTIONS,
  run: (options) =>
    atDesk(options, async (desk) => {
      const range = rangeOf(options)
      const clickhouse = new Clickhouse({
        url: options.clickhouseUrl,
        database: options.clickhouseDatabase,
        user: options.clickhouseUser,
        password: options.clickhousePassword,
      })
      const line = progressLine('weir reprocess')
      const { tenant, device, dryRun, rate: perSecond } = options
      try {
        const report = await reprocess(
          { ...range, dryRun, perSecond },
          {
            sink: clickhouseSink(clickhouse),
            raw: new RawSamples(clickhouse, { tenant, device }),
            closedToMs: () => closedWatermarks(desk, options.topicPrefix),
            ...{ clock: systemClock, timers: systemTimers },
            settled: () => pipelineSettled(desk, options.topicPrefix),
            progress: (done, all, what) => line.show(done, all, what),
          },
        )
        line.end()
        process.stdout.write(sentences(report, dryRun))
        printJson(options.json, { ...range, dryRun, ...report })
        return EXIT.ok
      } finally {
        await clickhouse.close()
      }
    }),
})

function rangeOf({ from, to, tenant, device, rawRetentionDays }: Options) {
  const nowMs = systemClock.nowMs()
  const fromMs = timeOf('--from', from, { nowMs, otherwise: nowMs })
  const toMs = timeOf('--to', to, { nowMs, otherwise: nowMs })
  if (fromMs >= toMs) throw new Failure('config_invalid', '--from must be before --to')
  if (device !== '' && tenant === '') throw new Failure('config_invalid', '--device needs --tenant')
  // Raw rows of the last day may be half gone; a window folded from the rest would be wrong.
  if (fromMs < nowMs - (rawRetentionDays - 1) * DAY_MS) {
    const text = `raw samples are kept for ${rawRetentionDays} days: --from must be a day later`
    throw new Failure('config_invalid', text)
  }
  return { fromMs, toMs }
}

/** C of each partition; windows that end later are the pipeline's. */
async function closedWatermarks(desk: Desk, topicPrefix: string): Promise<Map<number, number>> {
  const committed = await desk.admin.committed(`${topicPrefix}rollup`, desk.telemetryTopic)
  const closed = new Map<number, number>()
  for (const [partition, { offset, metadata }] of committed) {
    const checkpoint = parseCheckpoint(offset, metadata)
    if (checkpoint !== undefined) closed.set(partition, checkpoint.closedToMs)
  }
  if (closed.size > 0) return closed
  throw new Failure('unavailable', `the group ${topicPrefix}rollup has not committed anything yet`)
}

/**
 * A flush commits what it has settled: once everything that is in the log now is committed, no
 * flush of before goes on. A partition that commits nothing for so long has nobody who flushes.
 */
async function pipelineSettled(desk: Desk, topicPrefix: string): Promise<void> {
  const ends = await desk.admin.offsetRange(desk.telemetryTopic)
  const untilMs = systemClock.monotonicMs() + IDLE_MS
  while (systemClock.monotonicMs() < untilMs) {
    const committed = await desk.admin.committed(`${topicPrefix}rollup`, desk.telemetryTopic)
    const isBehind = [...ends].some(([partition, { end }]) => {
      const { offset, metadata } = committed.get(partition) ?? { offset: 0, metadata: '' }
      return end > (parseCheckpoint(offset, metadata)?.position ?? 0)
    })
    if (!isBehind) return
    await sleep(systemTimers, POLL_MS)
  }
}

/** For people; of a dry run, what would be. */
function sentences({ folded, merged }: ReprocessReport, dryRun: boolean): string {
  const all = [
    [folded, 'windows of 10 s and 1 min'],
    [merged, 'hours and days'],
  ] as const
  const lines = all.map(([counts, what]) => sentence(counts, what, dryRun))
  if (dryRun && folded.rewritten + folded.added > 0) {
    lines.push(
      'Hours and days were compared with minutes as they are now, before any is rewritten.',
    )
  }
  return `${lines.join('\n')}\n`
}

function sentence(counts: WindowCounts, what: string, dryRun: boolean): string {
  const would = dryRun ? 'would be ' : ''
  const parts = [
    `${counts.windows} ${what}: ${counts.unchanged} as they were`,
    `${counts.rewritten} ${would}rewritten`,
    `${counts.added} ${would}added`,
  ]
  if (counts.open > 0) parts.push(`${counts.open} still open`)
  const all = `${parts.join(', ')}.`
  if (counts.unexplained === 0) return all
  return `${all} ${counts.unexplained} more rows are left alone: what they were made of is not stored.`
}
