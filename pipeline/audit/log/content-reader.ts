/**
 * Turns records of telemetry.v1 into what the tables must hold: samples into the current slice,
 * refusals against the dead letters, series into the sample that the window check looks at.
 */
import type { LogBatch, LogRecord } from '../../../platform/kafka/log.ts'
import type { TelemetryFrames } from '../../../schemas/telemetry-frames.ts'
import { BOOLEAN, NUMBER, type TelemetryReader } from '../../../schemas/telemetry-reader.ts'
import { seriesIdAsBigint, seriesIdOf } from '../../window/series-id.ts'
import type { AuditBooks, HourTally } from '../hour-tally.ts'
import { isCut, type Letter, type LetterBook, tells, tenantOfKey } from './letter-book.ts'
import { hourOf, hourOfOffset, type LogCut } from './log-cut.ts'
import type { OffsetSpan } from './log-range.ts'
import { refusedSamples } from './record-content.ts'
import type { SeriesSample } from '../windows/series-sample.ts'
import type { Delivery, SeriesIdentity, Slice } from '../samples/slice.ts'

type ContentParts = Readonly<{
  cut: LogCut
  books: AuditBooks
  frames: TelemetryFrames
  letters: LetterBook
  sample: SeriesSample
  acceptedAgeMs: number
  /** Others are passed over; undefined: all tenants. */
  tenant: string | undefined
  seriesSalt: string
}>

/** Names remembered; beyond it they are derived anew. */
const NAMES_MAX = 500_000

export class ContentReader {
  readonly #parts: ContentParts
  readonly #names = new Map<string, Map<string, SeriesIdentity>>()
  #nameCount = 0

  constructor(parts: ContentParts) {
    this.#parts = parts
  }

  /** Takes the records of a batch that lie in the span. */
  take(batch: LogBatch, span: OffsetSpan, slice: Slice): void {
    batch.forEach((record) => {
      if (record.offset < span.from || record.offset >= span.to) return
      this.#takeOne(record, batch.partition, slice)
    })
  }

  #takeOne(record: LogRecord, partition: number, slice: Slice): void {
    const { cut, letters, frames } = this.#parts
    const { offset, timestampMs, value } = record
    const from = { partition, offset, hourMs: hourOfOffset(cut, partition, offset) }
    const letter = letters.of(partition, offset)
    const isReadable = value !== null && frames.read(value) === undefined
    if (!isReadable) return this.#unreadable(tenantOfKey(record.key), from, letter)
    const { telemetry } = frames
    if (telemetry.isTick) return
    const { tenant } = telemetry
    if (this.#isOther(tenant)) return
    const tally = this.#parts.books.tally(tenant, from.hourMs)
    tally.records += 1
    tally.produced += telemetry.sampleCount
    const place = { partition, partitions: cut.partitions.size, appendMs: timestampMs }
    const mustBeRefused = refusedSamples(telemetry, place, this.#parts.acceptedAgeMs)
    if (letter !== undefined) addLetter(tally, letter.reason, 1)
    this.#checkLetter(tally, from, { letter, mustBeRefused })
    this.#takeSamples(telemetry, { tenant, from, slice, tally, letter, mustBeRefused })
  }

  #takeSamples(
    record: TelemetryReader,
    to: Readonly<{
      tenant: string
      from: Delivery
      slice: Slice
      tally: HourTally
      letter: Letter | undefined
      mustBeRefused: ReadonlySet<number>
    }>,
  ): void {
    const { from, slice, tally, letter, mustBeRefused } = to
    const names = this.#namesOf(to.tenant, record.device)
    let k = 0
    for (let entry = 0; entry < record.entryCount; entry += 1) {
      const end = record.sampleEnd[entry] ?? 0
      if (k === end) continue
      const series = this.#seriesOf(record, entry, to.tenant, names)
      let notedHourMs = -1
      for (; k < end; k += 1) {
        if (tells(letter, k) || mustBeRefused.has(k)) {
          tally.refused += 1
          continue
        }
        const tsMs = record.tsMs[k] ?? 0
        slice.add(series, { tsMs, value: record.values[k] ?? 0, text: record.texts[k] ?? '' }, from)
        const hourMs = hourOf(tsMs)
        if (hourMs === notedHourMs) continue
        notedHourMs = hourMs
        this.#parts.sample.note(series, hourMs, from.hourMs)
      }
    }
  }

  #checkLetter(
    tally: HourTally,
    from: Delivery,
    of: Readonly<{ letter: Letter | undefined; mustBeRefused: ReadonlySet<number> }>,
  ): void {
    const { letter, mustBeRefused } = of
    if (mustBeRefused.size === 0 || isCut(letter)) return
    const untold = [...mustBeRefused].filter((k) => !tells(letter, k)).length
    if (untold === 0) return
    this.#letterMissing(tally, from, `${untold} samples that may not be stored`)
  }

  #unreadable(tenant: string, from: Delivery, letter: Letter | undefined): void {
    if (this.#isOther(tenant)) return
    const tally = this.#parts.books.tally(tenant, from.hourMs)
    tally.records += 1
    tally.unreadable += 1
    if (letter === undefined) this.#letterMissing(tally, from, 'a value that cannot be read')
    else addLetter(tally, letter.reason, 1)
  }

  #letterMissing(tally: HourTally, { partition, offset }: Delivery, what: string): void {
    tally.lettersMissing += 1
    const text = `the record at ${partition}:${offset} has ${what}, and no dead letter tells of it`
    const { tenant, hourMs } = tally
    this.#parts.books.add({ kind: 'letter_missing', tenant, hourMs, text })
  }

  #isOther(tenant: string): boolean {
    return this.#parts.tenant !== undefined && this.#parts.tenant !== tenant
  }

  #namesOf(tenant: string, device: string): Map<string, SeriesIdentity> {
    const key = `${tenant}/${device}`
    let names = this.#names.get(key)
    if (names === undefined) {
      names = new Map()
      this.#names.set(key, names)
    }
    return names
  }

  #seriesOf(
    record: TelemetryReader,
    entry: number,
    tenant: string,
    names: Map<string, SeriesIdentity>,
  ): SeriesIdentity {
    const code = record.kinds[entry]
    const metric = record.metricOf(entry)
    const key = `${code} ${metric}`
    const known = names.get(key)
    if (known !== undefined) return known
    const { device } = record
    const kind = code === NUMBER ? 'number' : code === BOOLEAN ? 'boolean' : 'text'
    const name = { device, metric, kind } as const
    const id = seriesIdAsBigint(seriesIdOf(name, this.#parts.seriesSalt)).toString()
    const series = { tenant, ...name, id }
    if ((this.#nameCount += 1) > NAMES_MAX) {
      this.#names.clear()
      this.#nameCount = 0
    }
    names.set(key, series)
    return series
  }
}

export function addLetter(tally: HourTally, reason: string, count: number): void {
  tally.deadLetters.set(reason, (tally.deadLetters.get(reason) ?? 0) + count)
}

/** Ids of writers' schemas that a batch names, for a caller that must learn them first. */
export function schemaIdsOf(batch: LogBatch, into: Set<number>): void {
  batch.forEach(({ value }) => {
    if (value !== null && value.length >= 5 && value[0] === 0) into.add(value.readUInt32BE(1))
  })
}
