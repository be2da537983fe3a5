/** `weir dlq ls|show|replay|purge`: dead letters in the hands of an operator. */
import { randomUUID } from 'node:crypto'
import { systemClock } from '../../platform/clock.ts'
import type { OptionTable } from '../../platform/config/options.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { RETENTION_OPTIONS } from '../../platform/config/shared-options.ts'
import { acceptedAgeMs } from '../../schemas/telemetry.ts'
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
import { systemTimers } from '../timers.ts'
import type { Letter } from './letter.ts'
import { FILTER_OPTIONS, filterOf } from './letter-filter.ts'
import { type LetterGroup, LetterIndex } from './letter-index.ts'
import { rangesOf, scanLetters } from './letter-scan.ts'
import { type ReplayReport, replayLetters } from './replay-letters.ts'
import { shownLetter } from './show-letter.ts'

const LIMIT_MAX = 1_000_000_000
const EVERYTHING = { sinceMs: 0, partition: -1 }

export const LS_OPTIONS = { ...DESK_OPTIONS, ...FILTER_OPTIONS } as const satisfies OptionTable

export const lsCommand = operatorCommand({
  name: 'dlq ls',
  summary: 'counts dead letters by reason',
  options: LS_OPTIONS,
  run: (options) =>
    atDesk(options, async ({ log, lettersTopic }) => {
      const filter = filterOf(options)
      const index = new LetterIndex(filter)
      await scanLetters(log, lettersTopic, await rangesOf(log, lettersTopic, filter), index)
      const groups = index.groups()
      process.stdout.write(table(groups))
      const letters = groups.reduce((sum, group) => sum + group.letters, 0)
      printJson(options.json, { letters, groups })
      return EXIT.ok
    }),
})

function table(groups: readonly LetterGroup[]): string {
  if (groups.length === 0) return 'No dead letters.\n'
  const rows = groups.map(({ reason, stage, letters, replayed, newestMs, newest }) =>
    [reason, stage, letters, replayed, new Date(newestMs).toISOString(), newest].map(String),
  )
  const all = [['reason', 'stage', 'letters', 'replayed', 'newest', 'letter'], ...rows]
  const widths = [0, 1, 2, 3, 4].map((column) =>
    all.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
  )
  const lines = all.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '))
  return `${lines.join('\n')}\n`
}

export const SHOW_OPTIONS = {
  ...DESK_OPTIONS,
  letter: {
    kind: 'text',
    placeholder: '3:1042',
    doc: 'Partition and offset of the letter, as `dlq ls` shows them.',
  },
} as const satisfies OptionTable

export const showCommand = operatorCommand({
  name: 'dlq show',
  summary: 'prints one letter: headers, and the value decoded or in hex',
  options: SHOW_OPTIONS,
  run: (options) =>
    atDesk(options, async (desk) => {
      const letter = await oneLetter(desk, options.letter)
      const shown = await shownLetter(letter, await desk.decoder())
      process.stdout.write(`${JSON.stringify(shown, undefined, options.json ? 0 : 2)}\n`)
      return EXIT.ok
    }),
})

async function oneLetter(desk: Desk, text: string): Promise<Letter> {
  const { partition, offset } = placeOf(text)
  const ranges = await rangesOf(desk.log, desk.lettersTopic, { sinceMs: 0, partition })
  const range = ranges.get(partition)
  let found: Letter | undefined
  if (range !== undefined && offset >= range.from && offset < range.to) {
    const narrowed = [...ranges].map(([each, { to }]) => {
      const wanted = each === partition ? { from: offset, to: offset + 1 } : { from: to, to }
      return [each, wanted] as const
    })
    await scanLetters(desk.log, desk.lettersTopic, new Map(narrowed), {
      letter(letter) {
        if (letter.partition !== partition || letter.offset !== offset) return
        found = { ...letter, value: letter.value === null ? null : Buffer.from(letter.value) }
      },
      replayed: () => {},
    })
  }
  if (found === undefined) throw new Failure('not_found', `there is no letter ${text}`)
  return found
}

function placeOf(text: string): Readonly<{ partition: number; offset: number }> {
  const match = /^(\d{1,6}):(\d{1,16})$/.exec(text)
  if (match !== null) return { partition: Number(match[1]), offset: Number(match[2]) }
  throw new Failure('config_invalid', `--letter must be PARTITION:OFFSET, not "${text}"`)
}

export const REPLAY_OPTIONS = {
  ...DESK_OPTIONS,
  ...FILTER_OPTIONS,
  letter: {
    kind: 'text',
    default: '',
    doc: 'Only this letter, as PARTITION:OFFSET; empty: all that are chosen otherwise.',
  },
  ...RETENTION_OPTIONS,
  limit: {
    kind: 'integer',
    default: LIMIT_MAX,
    min: 1,
    max: LIMIT_MAX,
    doc: 'At most so many letters, the oldest first.',
  },
  rate: {
    kind: 'integer',
    default: 1_000,
    min: 0,
    max: 1_000_000,
    doc: 'Records produced in a second; 0: as fast as Kafka takes them.',
  },
  ...DRY_RUN_OPTION,
} as const satisfies OptionTable

export const replayCommand = operatorCommand({
  name: 'dlq replay',
  summary: 'produces the records of letters again, those that can be counted now',
  options: REPLAY_OPTIONS,
  run: (options) =>
    atDesk(options, async (desk) => {
      const { log, admin, lettersTopic, telemetryTopic } = desk
      const { dryRun, limit, rate: perSecond, letter } = options
      const filter = { ...filterOf(options), ...(letter === '' ? {} : placeOf(letter)) }
      const writer = log.writer({ name: 'replay', queuedBytesMax: 1 << 24, lingerMs: 5 })
      if (!dryRun) await writer.start()
      const line = progressLine('weir dlq replay')
      const replayId = randomUUID()
      try {
        const report = await replayLetters(
          { filter, limit, perSecond, dryRun, replayId },
          {
            ...{ log, lettersTopic, clock: systemClock, timers: systemTimers },
            writer: dryRun ? undefined : writer,
            partitions: await admin.partitionCount(telemetryTopic),
            judge: {
              topic: telemetryTopic,
              decoder: await desk.decoder(),
              acceptedAgeMs: acceptedAgeMs(options),
              nowMs: () => systemClock.nowMs(),
            },
            progress: ({ chosen, replayed }) => line.show(replayed, chosen, 'letters'),
          },
        )
        line.end()
        process.stdout.write(replaySentences(report, dryRun))
        printJson(options.json, { ...report, dryRun, ...(dryRun ? {} : { replayId }) })
        return EXIT.ok
      } finally {
        await writer.drain(10_000)
      }
    }),
})

const KEPT_SENTENCES: Readonly<Record<keyof ReplayReport['kept'], string>> = {
  refused_at_edge: 'never were records: their devices were told, and have to send them again',
  of_another_topic: 'are of another topic',
  cut: 'hold only the beginning of their record',
  schema_still_unknown:
    'carry a schema id that the registry still does not know: register it, then replay again',
  still_unreadable: 'still cannot be read',
  still_refused: 'would be refused again: a value or a time that cannot be counted',
  gone: 'are gone: somebody deleted them meanwhile',
}

function replaySentences({ chosen, replayed, kept }: ReplayReport, dryRun: boolean): string {
  const did = dryRun ? 'would be replayed' : 'were replayed'
  const lines = [`${replayed} of ${chosen} letters ${did}.`]
  for (const [because, sentence] of Object.entries(KEPT_SENTENCES)) {
    const letters = Object.entries(kept).find(([name]) => name === because)?.[1] ?? 0
    if (letters > 0) lines.push(`${letters} ${sentence} (${because}).`)
  }
  return `${lines.join('\n')}\n`
}

export const PURGE_OPTIONS = {
  ...DESK_OPTIONS,
  until: { kind: 'text', placeholder: '30d', doc: 'Before this time: RFC 3339, ms, or 30d ago.' },
  partition: FILTER_OPTIONS.partition,
  ...DRY_RUN_OPTION,
  yes: { kind: 'switch', default: false, doc: 'Really delete them.' },
} as const satisfies OptionTable

export const purgeCommand = operatorCommand({
  name: 'dlq purge',
  summary: 'deletes the letters written before a time, for good',
  options: PURGE_OPTIONS,
  run: (options) =>
    atDesk(options, async ({ log, admin, lettersTopic }) => {
      const { partition, dryRun, yes } = options
      const nowMs = systemClock.nowMs()
      const untilMs = timeOf('--until', options.until, { nowMs, otherwise: 0 })
      const before = await admin.offsetsAt(lettersTopic, untilMs)
      const ranges = await rangesOf(log, lettersTopic, { ...EVERYTHING, partition })
      const going = new Map<number, number>()
      let records = 0
      for (const [each, { from, to }] of ranges) {
        const end = Math.min(to, before.get(each) ?? from)
        if (end <= from) continue
        going.set(each, end)
        records += end - from
      }
      if (!dryRun && !yes) {
        throw new Failure('config_invalid', `${records} records would be deleted; add --yes`)
      }
      if (!dryRun) await admin.deleteRecords(lettersTopic, going)
      const did = dryRun ? 'would be deleted' : 'were deleted'
      process.stdout.write(`${records} records of ${lettersTopic} ${did}.\n`)
      const offsets = Object.fromEntries(going)
      printJson(options.json, { records, before: offsets, dryRun })
      return EXIT.ok
    }),
})
