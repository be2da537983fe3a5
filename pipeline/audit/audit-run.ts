/**
 * One audit: reads the dead letters and the log of a range once, holds every slice of it against
 * the raw table, recomputes the windows of a sample of series, and goes through the devices' own
 * numbers. What it keeps in memory is one slice, the letters' headers and the sampled series.
 */
import { Failure } from '../../platform/failure.ts'
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { Log, LogAdmin, LogBatch } from '../../platform/kafka/log.ts'
import type { AvroDecoder } from '../../schemas/avro-codec.ts'
import type { Telemetry } from '../../schemas/telemetry.ts'
import type { TelemetryFrames } from '../../schemas/telemetry-frames.ts'
import { DEAD_LETTERS, TELEMETRY } from '../../schemas/topics.ts'
import { readSeriesSalt } from '../sinks/series-salt.ts'
import type { Timers } from '../timers.ts'
import { addLetter, ContentReader, schemaIdsOf } from './log/content-reader.ts'
import { AuditBooks, type Finding, type HourTally } from './hour-tally.ts'
import { LetterBook } from './log/letter-book.ts'
import { hourOf, hourOfOffset, type LogCut, progressOf, readCut } from './log/log-cut.ts'
import { type OffsetSpan, readLogRange } from './log/log-range.ts'
import { readReplays } from './log/replayed-records.ts'
import { auditNumbers } from './witness/number-audit.ts'
import {
  countByOrigin,
  keyOf,
  readByKey,
  readByOrigin,
  readCorrected,
  readSeriesNames,
} from './samples/sample-tables.ts'
import { SeriesSample } from './windows/series-sample.ts'
import { inventedRow, type OpenSample, Slice } from './samples/slice.ts'
import { auditWindows } from './windows/window-audit.ts'
import type { Progress } from './windows/window-fold.ts'
import { keptFromMs } from './windows/window-tables.ts'

export type AuditPorts = Readonly<{
  log: Log
  admin: LogAdmin
  clickhouse: Pick<Clickhouse, 'select' | 'selectChunks' | 'selectNative'>
  frames: TelemetryFrames
  decoder: Pick<AvroDecoder<Telemetry>, 'learn'>
  timers: Timers
  signal: AbortSignal
}>

export type AuditRange = Readonly<{
  topicPrefix: string
  /** [fromMs, toMs) of append time. */
  fromMs: number
  toMs: number
  nowMs: number
  tenant: string | undefined
  acceptedAgeMs: number
  /** Of series whose windows are recomputed, in SHARES (series-sample.ts). */
  share: number
  seriesMin: number
  /** Distinct samples of a slice: each takes some 200 bytes while the slice is judged. */
  sliceSamples: number
}>

type AuditStep = Readonly<{
  what: 'dead letters' | 'log' | 'windows' | 'numbers'
  done: number
  ofAll: number
}>

export type AuditResult = Readonly<{
  cut: LogCut
  tallies: readonly HourTally[]
  findings: readonly Finding[]
  /** All findings; the list has the first of each kind, tenant and hour. */
  findingCount: number
}>

/** A letter is written soon after its record, by another machine's clock. */
const LETTERS_BEFORE_MS = 86_400_000
const KEYS_PER_QUESTION = 5_000
const STRAYS_MAX = 10_000
const GROUP = 'rollup'

/** Rejects with a Failure when a server does not answer; nothing is judged by halves. */
export async function runAudit(
  ports: AuditPorts,
  range: AuditRange,
  onStep: (step: AuditStep) => void,
): Promise<AuditResult> {
  return new AuditRun(ports, range, onStep).run()
}

/** What a slice covered, for the search of rows that claim to come from it. */
type SliceTrace = Readonly<{
  spans: ReadonlyMap<number, OffsetSpan>
  tsMsMin: number
  tsMsMax: number
}>

class AuditRun {
  readonly #ports: AuditPorts
  readonly #range: AuditRange
  readonly #onStep: (step: AuditStep) => void
  readonly #books = new AuditBooks()
  readonly #traces: SliceTrace[] = []
  readonly #days = new Set<string>()
  readonly #schemaIds = new Set<number>()
  #rows = 0
  #slice = new Slice(this.#books)
  #sliceSpans = new Map<number, OffsetSpan>()

  constructor(ports: AuditPorts, range: AuditRange, onStep: (step: AuditStep) => void) {
    this.#ports = ports
    this.#range = range
    this.#onStep = onStep
  }

  async run(): Promise<AuditResult> {
    const { admin, clickhouse } = this.#ports
    const { topicPrefix, fromMs, toMs, share, seriesMin, nowMs, tenant } = this.#range
    const topic = topicPrefix + TELEMETRY.name
    const cut = await readCut(admin, { topic, group: topicPrefix + GROUP, fromMs, toMs })
    const letters = await this.#readLetters(topic, cut)
    const sample = new SeriesSample(share, seriesMin)
    await this.#readContent(topic, cut, letters, sample)
    await this.#findStrays(cut)
    await auditWindows(
      {
        clickhouse,
        books: this.#books,
        readProgress: () => this.#progress(topic),
        keptFromMs: await keptFromMs(clickhouse, nowMs),
        breathe: (done, ofAll) => this.#breathe({ what: 'windows', done, ofAll }),
      },
      sample.all,
    )
    await this.#breathe({ what: 'numbers', done: 0, ofAll: 1 })
    await auditNumbers(clickhouse, this.#books, { fromMs, toMs, tenant })
    await this.#addCorrected()
    this.#books.close()
    const { findings, findingCount } = this.#books
    return {
      cut,
      tallies: this.#books.tallies(),
      findings: await this.#withNames(findings),
      findingCount,
    }
  }

  async #readLetters(topic: string, cut: LogCut): Promise<LetterBook> {
    const { admin } = this.#ports
    const letterTopic = this.#range.topicPrefix + DEAD_LETTERS.name
    const ends = await admin.offsetRange(letterTopic)
    const starts = await admin.offsetsAt(letterTopic, cut.fromMs - LETTERS_BEFORE_MS)
    const spans = new Map(
      [...ends].map(([partition, { end }]) => [
        partition,
        { from: starts.get(partition) ?? end, to: end },
      ]),
    )
    const book = new LetterBook(topic, cut)
    await this.#read(
      { topic: letterTopic, name: 'audit-letters', what: 'dead letters', spans },
      async (batch, { from, to }) => {
        batch.forEach((record) => {
          if (record.offset >= from && record.offset < to) book.add(batch.partition, record)
        })
      },
    )
    for (const { tenant, hourMs, reason, count } of book.edge.values()) {
      if (this.#range.tenant !== undefined && this.#range.tenant !== tenant) continue
      addLetter(this.#books.tally(tenant, hourMs), reason, count)
    }
    return book
  }

  async #readContent(
    topic: string,
    cut: LogCut,
    letters: LetterBook,
    sample: SeriesSample,
  ): Promise<void> {
    const { frames, clickhouse } = this.#ports
    const { acceptedAgeMs, tenant, sliceSamples } = this.#range
    const seriesSalt = await readSeriesSalt(clickhouse)
    const reader = new ContentReader({
      ...{ cut, books: this.#books, frames, letters, sample, acceptedAgeMs, tenant, seriesSalt },
    })
    const spans = new Map([...cut.partitions].map(([partition, { span }]) => [partition, span]))
    await this.#read({ topic, name: 'audit', what: 'log', spans }, async (batch, span) => {
      await this.#learnSchemas(batch)
      reader.take(batch, span, this.#slice)
      const known = this.#sliceSpans.get(batch.partition)
      const to = Math.min(span.to, batch.lastOffset + 1)
      this.#sliceSpans.set(batch.partition, { from: known?.from ?? span.from, to })
      if (this.#slice.size >= sliceSamples) await this.#judgeSlice(cut)
    })
    await this.#judgeSlice(cut)
  }

  /** Reads a range with progress, one batch a turn of the event loop. */
  async #read(
    of: Readonly<{
      topic: string
      name: string
      what: AuditStep['what']
      spans: ReadonlyMap<number, OffsetSpan>
    }>,
    take: (batch: LogBatch, span: OffsetSpan) => Promise<void>,
  ): Promise<void> {
    const { what } = of
    const ofAll = [...of.spans.values()].reduce((sum, { from, to }) => sum + to - from, 0)
    let done = 0
    await this.#breathe({ what, done, ofAll })
    await readLogRange(this.#ports, of, async (batch, span) => {
      await take(batch, span)
      done += Math.min(batch.lastOffset + 1, span.to) - span.from
      await this.#breathe({ what, done, ofAll })
    })
  }

  /** Schemas of other versions, before their records are read. Unknown ones are asked for once. */
  async #learnSchemas(batch: LogBatch): Promise<void> {
    const ids = new Set<number>()
    schemaIdsOf(batch, ids)
    for (const id of ids) {
      if (this.#schemaIds.has(id)) continue
      this.#schemaIds.add(id)
      await this.#ports.decoder.learn(id)
    }
  }

  async #judgeSlice(cut: LogCut): Promise<void> {
    const slice = this.#slice
    const spans = this.#sliceSpans
    const { tsMsMin, tsMsMax } = slice
    this.#slice = new Slice(this.#books)
    this.#sliceSpans = new Map()
    this.#traces.push({ spans, tsMsMin, tsMsMax })
    if (slice.size === 0) return
    this.#noteDays(tsMsMin, tsMsMax)
    const { clickhouse } = this.#ports
    const origins = { spans, tenant: this.#range.tenant, fromTsMs: tsMsMin, toTsMs: tsMsMax }
    await readByOrigin(clickhouse, origins, (row) => {
      this.#rows += 1
      slice.rowFromSlice(row, hourOfOffset(cut, row.partition, row.offset))
    })
    let open: OpenSample[] = []
    for (const sample of slice.open()) {
      const isOther = open[0] !== undefined && open[0].series.tenant !== sample.series.tenant
      if (isOther || open.length === KEYS_PER_QUESTION) {
        await this.#judgeOpen(slice, open)
        open = []
      }
      open.push(sample)
    }
    await this.#judgeOpen(slice, open)
    const { displaced } = slice
    const places = displaced.flatMap(({ row, first }) => [row, first])
    const topic = this.#range.topicPrefix + TELEMETRY.name
    slice.judgeDisplaced(await readReplays(this.#ports, topic, places))
  }

  /** Samples of one tenant without a row of their own. */
  async #judgeOpen(slice: Slice, open: readonly OpenSample[]): Promise<void> {
    const tenant = open[0]?.series.tenant
    if (tenant === undefined) return
    const rows = await readByKey(this.#ports.clickhouse, tenant, open)
    for (const sample of open) {
      slice.rowOfOpen(sample, rows.get(keyOf(sample.series.id, sample.tsMs)))
    }
  }

  /** Rows that name records of the range at event times that no sample of theirs has. */
  async #findStrays(cut: LogCut): Promise<void> {
    const { clickhouse } = this.#ports
    const { tenant } = this.#range
    const spans = new Map([...cut.partitions].map(([partition, { span }]) => [partition, span]))
    const rows = await countByOrigin(clickhouse, { spans, tenant })
    if (rows === this.#rows) return
    let strays = 0
    for (const { spans, tsMsMin, tsMsMax } of this.#traces) {
      if (strays > STRAYS_MAX) return
      await readByOrigin(clickhouse, { spans, tenant }, (row) => {
        if (row.tsMs >= tsMsMin && row.tsMs <= tsMsMax) return
        const hourMs = hourOfOffset(cut, row.partition, row.offset)
        const tally = this.#books.tally(row.tenant, hourMs)
        tally.stored += 1
        strays += 1
        inventedRow(this.#books, tally, row)
      })
    }
    if (this.#rows + strays === rows) return
    const text = `${rows} rows name records of the range, but ${this.#rows + strays} were found`
    this.#books.add({ kind: 'unbalanced', tenant: tenant ?? '', hourMs: hourOf(cut.fromMs), text })
  }

  async #progress(topic: string): Promise<Progress> {
    const group = this.#range.topicPrefix + GROUP
    const committed = await this.#ports.admin.committed(group, topic)
    const of = (partition: number) => progressOf(committed.get(partition))
    return {
      positionOf: (partition) => of(partition).position,
      closedToMsOf: (partition) => of(partition).closedToMs,
    }
  }

  #noteDays(fromMs: number, toMs: number): void {
    for (let ms = fromMs; ms < toMs + 86_400_000; ms += 86_400_000) {
      const day = new Date(Math.min(ms, toMs)).toISOString().slice(0, 10).replaceAll('-', '')
      this.#days.add(day)
    }
  }

  async #addCorrected(): Promise<void> {
    const rows = await readCorrected(this.#ports.clickhouse, this.#range, [...this.#days])
    for (const { tenant, hourMs, n } of rows) {
      if (this.#range.tenant !== undefined && this.#range.tenant !== tenant) continue
      this.#books.tally(tenant, hourMs).corrected += n
    }
  }

  /** Ids of series become names, where the series table knows them. */
  async #withNames(findings: readonly Finding[]): Promise<readonly Finding[]> {
    const ids = findings.flatMap(({ series }) => (typeof series === 'string' ? [series] : []))
    const names = await readSeriesNames(this.#ports.clickhouse, [...new Set(ids)])
    return findings.map((finding) => {
      const { series, tenant, text } = finding
      if (typeof series !== 'string') return finding
      const name = names.get(`${tenant}/${series}`)
      if (name === undefined) return finding
      const told = `${name.device} ${name.metric}`
      return { ...finding, series: name, text: text.replace(`series ${series}`, told) }
    })
  }

  async #breathe(step: AuditStep): Promise<void> {
    this.#onStep(step)
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.#ports.signal.aborted) throw new Failure('shutting_down', 'asked to stop')
  }
}
