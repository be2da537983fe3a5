/**
 * Produces dead-lettered records again, to the topic they came from and under their own key, so
 * that they go through the pipeline like any other. Nothing is counted twice, by whoever and how
 * often it is done: a sample that is stored already is the same key again, and windows that were
 * final are folded again from raw.
 */
import type { Clock } from '../../platform/clock.ts'
import type { Log, LogWriter } from '../../platform/kafka/log.ts'
import { partitionOf } from '../../schemas/topics.ts'
import type { Timers } from '../timers.ts'
import { type Letter, markRecord, replayRecord } from './letter.ts'
import { LetterIndex } from './letter-index.ts'
import { type LetterFilter, type LetterRanges, rangesOf, scanLetters } from './letter-scan.ts'
import { Pacer } from '../operator/pacer.ts'
import { type JudgePorts, type KeptBecause, replayVerdict } from './replay-verdict.ts'

type ReplayOptions = Readonly<{
  filter: LetterFilter
  limit: number
  perSecond: number
  dryRun: boolean
  replayId: string
}>

type ReplayPorts = Readonly<{
  log: Log
  /** Open; not needed for a dry run. */
  writer: LogWriter | undefined
  lettersTopic: string
  /** Of the topic the records go to. */
  partitions: number
  judge: JudgePorts
  clock: Clock
  timers: Timers
  progress(report: ReplayReport): void
}>

export type ReplayReport = {
  chosen: number
  /** Produced and acknowledged; in a dry run, those that would be. */
  replayed: number
  kept: Partial<Record<KeptBecause | 'gone', number>>
}

export async function replayLetters(
  options: ReplayOptions,
  ports: ReplayPorts,
): Promise<ReplayReport> {
  const { log, lettersTopic } = ports
  const ranges = await rangesOf(log, lettersTopic, options.filter)
  const index = new LetterIndex(options.filter)
  await scanLetters(log, lettersTopic, ranges, index)
  const chosen = index.unreplayed(options.limit)
  const replay = new Replay(options, ports, chosen)
  await scanLetters(log, lettersTopic, rangesOfChosen(chosen, ranges), replay)
  const { report } = replay
  const met = Object.values(report.kept).reduce((sum, letters) => sum + letters, report.replayed)
  if (met < report.chosen) report.kept.gone = report.chosen - met
  return report
}

/** The second reading goes no further than the last chosen letter. */
function rangesOfChosen(
  chosen: ReadonlyMap<number, ReadonlySet<number>>,
  all: LetterRanges,
): LetterRanges {
  const narrowed = [...all].map(([partition, { to }]) => {
    const offsets = [...(chosen.get(partition) ?? [])]
    if (offsets.length === 0) return [partition, { from: to, to }] as const
    const last = offsets.reduce((a, b) => Math.max(a, b), 0)
    return [partition, { from: offsets.reduce((a, b) => Math.min(a, b)), to: last + 1 }] as const
  })
  return new Map(narrowed)
}

class Replay {
  readonly report: ReplayReport
  readonly #options: ReplayOptions
  readonly #ports: ReplayPorts
  readonly #chosen: ReadonlyMap<number, ReadonlySet<number>>
  readonly #pacer: Pacer
  #waiting: Letter[] = []

  constructor(
    options: ReplayOptions,
    ports: ReplayPorts,
    chosen: ReadonlyMap<number, ReadonlySet<number>>,
  ) {
    this.#options = options
    this.#ports = ports
    this.#chosen = chosen
    this.#pacer = new Pacer(options.dryRun ? 0 : options.perSecond, ports.clock, ports.timers)
    const letters = [...chosen.values()].reduce((sum, { size }) => sum + size, 0)
    this.report = { chosen: letters, replayed: 0, kept: {} }
  }

  letter(letter: Letter): void {
    if (this.#chosen.get(letter.partition)?.has(letter.offset) !== true) return
    this.#waiting.push({
      ...letter,
      key: letter.key === null ? null : Buffer.from(letter.key),
      value: letter.value === null ? null : Buffer.from(letter.value),
      headers: Object.fromEntries(
        Object.entries(letter.headers).map(([name, value]) => [name, Buffer.from(value)]),
      ),
    })
  }

  replayed(): void {}

  async batchDone(partition: number): Promise<void> {
    const letters = this.#waiting.filter((letter) => letter.partition === partition)
    this.#waiting = this.#waiting.filter((letter) => letter.partition !== partition)
    const stored: Promise<void>[] = []
    const offsets: number[] = []
    for (const letter of letters) {
      const produced = await this.#one(letter)
      this.#ports.progress(this.report)
      if (produced === undefined) continue
      stored.push(produced.stored)
      offsets.push(letter.offset)
    }
    await Promise.all(stored)
    this.report.replayed += offsets.length
    this.#ports.progress(this.report)
    if (offsets.length === 0 || this.#options.dryRun) return
    // After the records: a mark says that they are there.
    const mark = markRecord({ replayId: this.#options.replayId, offsets })
    await this.#ports.writer?.append(this.#ports.lettersTopic, partition, mark)
  }

  /** Produces the record, unless the letter is left where it is. */
  async #one(letter: Letter): Promise<Readonly<{ stored: Promise<void> }> | undefined> {
    const { judge, writer, partitions } = this.#ports
    const verdict = await replayVerdict(letter, judge)
    if (verdict.kind === 'kept') {
      const { kept } = this.report
      kept[verdict.because] = (kept[verdict.because] ?? 0) + 1
      return undefined
    }
    if (this.#options.dryRun || writer === undefined) return { stored: Promise.resolve() }
    await this.#pacer.take(1)
    if (!writer.hasRoom()) await writer.room()
    const { topic, partition } = verdict.origin
    const to = letter.key === null ? partition : partitionOf(letter.key, partitions)
    const record = replayRecord(letter, verdict.origin, this.#options.replayId)
    return { stored: writer.append(topic, to, record) }
  }
}
