/**
 * One slice of the log against the raw table, in bounded memory. A stored row names the record it
 * comes from, and of several deliveries of one sample the earliest wins; so each slice can be
 * judged alone:
 *
 *   a sample of the slice is stored from the slice (its first delivery here), or from an earlier
 *   record (then it is a duplicate), or in no row (then it is missing);
 *   a row that names a record of the slice holds what that record holds (else it is invented, or
 *   altered).
 *
 * A row may hold a later delivery than the first: a record that could not be read when it was
 * passed was dead-lettered, and counts since it was replayed. So such rows are judged last, by
 * whoever knows which records replay which (judgeDisplaced).
 *
 * Pure: rows come in by methods, tallies and findings go into the books.
 */
import { type AuditBooks, type HourTally, timeText } from '../hour-tally.ts'

export type SeriesIdentity = Readonly<{
  tenant: string
  device: string
  metric: string
  kind: 'number' | 'boolean' | 'text'
  /** Decimal text: 64 bits. */
  id: string
}>

export type Delivery = Readonly<{
  partition: number
  offset: number
  /** The hour it was appended in. */
  hourMs: number
}>

export type StoredSample = Readonly<{
  tenant: string
  series: string
  tsMs: number
  value: number
  text: string
  partition: number
  offset: number
}>

/** A sample whose row is still to be found. */
export type OpenSample = Readonly<{ series: SeriesIdentity; tsMs: number }> & Delivery

/** A row that stands for a later delivery of its sample than the first one we know. */
export type Displaced = Readonly<{ row: StoredSample; first: Delivery }>
type Wrong = Readonly<{
  series: SeriesIdentity
  row: StoredSample
  text?: string
  expected?: unknown
  found?: unknown
}>

type SeriesSlice = Readonly<{ series: SeriesIdentity; byTs: Map<number, number> }>

export class Slice {
  readonly #books: AuditBooks
  readonly #bySeries = new Map<string, SeriesSlice>()
  readonly #partition: number[] = []
  readonly #offset: number[] = []
  readonly #hourMs: number[] = []
  readonly #values: number[] = []
  readonly #texts = new Map<number, string>()
  readonly #isFound: boolean[] = []
  readonly #displaced: (Displaced & Readonly<{ tally: HourTally; wrong: Wrong; same: boolean }>)[] =
    []
  #last: SeriesSlice | undefined
  #tsMsMin = Infinity
  #tsMsMax = -Infinity

  constructor(books: AuditBooks) {
    this.#books = books
  }

  /** Distinct samples. */
  get size(): number {
    return this.#offset.length
  }

  get tsMsMin(): number {
    return this.#tsMsMin
  }

  get tsMsMax(): number {
    return this.#tsMsMax
  }

  /** Notes a sample that must be stored. Within a partition records come in the log's order. */
  add(
    series: SeriesIdentity,
    sample: Readonly<{ tsMs: number; value: number; text: string }>,
    from: Delivery,
  ): void {
    const known = this.#seriesOf(series.tenant, series.id) ?? this.#newSeries(series)
    const { tsMs, value, text } = sample
    if (known.byTs.has(tsMs)) {
      this.#books.tally(series.tenant, from.hourMs).duplicates += 1
      return
    }
    const index = this.#offset.length
    known.byTs.set(tsMs, index)
    this.#partition.push(from.partition)
    this.#offset.push(from.offset)
    this.#hourMs.push(from.hourMs)
    this.#values.push(value)
    if (text !== '') this.#texts.set(index, text)
    this.#isFound.push(false)
    if (tsMs < this.#tsMsMin) this.#tsMsMin = tsMs
    if (tsMs > this.#tsMsMax) this.#tsMsMax = tsMs
  }

  /** A row whose origin lies in the slice; `hourMs` is that of its origin. */
  rowFromSlice(row: StoredSample, hourMs: number): void {
    const tally = this.#books.tally(row.tenant, hourMs)
    tally.stored += 1
    const known = this.#seriesOf(row.tenant, row.series)
    const index = known?.byTs.get(row.tsMs)
    if (known === undefined || index === undefined || this.#isFound[index] === true) {
      this.#invented(tally, row)
      return
    }
    this.#isFound[index] = true
    const first = this.#origin(index)
    const expected = this.#texts.get(index) ?? this.#values[index]
    const found = known.series.kind === 'text' ? row.text : row.value
    const same = row.value === this.#values[index] && row.text === (this.#texts.get(index) ?? '')
    if (first.offset !== row.offset) {
      // The row counts for the hour it names, the sample for the hour of its first delivery.
      if (hourMs !== first.hourMs) this.#move(row.tenant, hourMs, first.hourMs)
      const text = `holds the delivery at ${where(row)}, not the first one at ${where(first)}`
      const wrong = { series: known.series, row, text }
      this.#displaced.push({ row, first, tally, wrong, same })
      return
    }
    if (!same) this.#altered(tally, { series: known.series, row, expected, found })
  }

  /** Samples that no row of the slice's own records stands for. */
  *open(): Generator<OpenSample> {
    for (const { series, byTs } of this.#bySeries.values()) {
      for (const [tsMs, index] of byTs) {
        if (this.#isFound[index] !== true) yield { series, tsMs, ...this.#origin(index) }
      }
    }
  }

  /** The row that holds an open sample, if any: then an earlier record brought it. */
  rowOfOpen(sample: OpenSample, row: StoredSample | undefined): void {
    const { series, tsMs, hourMs } = sample
    const tally = this.#books.tally(series.tenant, hourMs)
    if (row === undefined) {
      tally.missing += 1
      const text =
        `${named(series)} at ${timeText(tsMs)} is in the log at ${where(sample)}, and neither stored nor ` +
        'in the dead letters'
      const { tenant } = series
      this.#books.add({ kind: 'sample_missing', tenant, hourMs, text, series, startMs: tsMs })
      return
    }
    tally.duplicates += 1
    if (row.offset < sample.offset || row.partition !== sample.partition) return
    const text = `holds the delivery at ${where(row)}, not the earlier one at ${where(sample)}`
    this.#displaced.push({ row, first: sample, tally, wrong: { series, row, text }, same: true })
  }

  /** Rows that hold a later delivery of their sample. */
  get displaced(): readonly Displaced[] {
    return this.#displaced
  }

  /** Those that hold a replay of the first delivery are right; the others are findings. */
  judgeDisplaced(isReplayOf: (row: StoredSample, first: Delivery) => boolean): void {
    for (const { row, first, tally, wrong, same } of this.#displaced) {
      if (!same || !isReplayOf(row, first)) this.#altered(tally, wrong)
    }
    this.#displaced.length = 0
  }

  /** Samples and rows come series by series: mostly it is the one of the last question. */
  #seriesOf(tenant: string, id: string): SeriesSlice | undefined {
    const last = this.#last
    if (last?.series.id === id && last.series.tenant === tenant) return last
    const known = this.#bySeries.get(`${tenant}/${id}`)
    if (known !== undefined) this.#last = known
    return known
  }

  #newSeries(series: SeriesIdentity): SeriesSlice {
    const known = { series, byTs: new Map<number, number>() }
    this.#bySeries.set(`${series.tenant}/${series.id}`, known)
    this.#last = known
    return known
  }

  #origin(index: number): Delivery {
    return {
      partition: this.#partition[index] ?? 0,
      offset: this.#offset[index] ?? 0,
      hourMs: this.#hourMs[index] ?? 0,
    }
  }

  /** A later delivery is stored in place of the first: each hour's books stay balanced. */
  #move(tenant: string, rowHourMs: number, sampleHourMs: number): void {
    this.#books.tally(tenant, rowHourMs).duplicates -= 1
    this.#books.tally(tenant, sampleHourMs).duplicates += 1
  }

  #invented(tally: HourTally, row: StoredSample): void {
    inventedRow(this.#books, tally, row)
  }

  #altered(tally: HourTally, what: Wrong): void {
    tally.altered += 1
    const { series, row, expected, found } = what
    const wrong =
      what.text ?? `holds ${shown(found)}, its record at ${where(row)} ${shown(expected)}`
    this.#books.add({
      kind: 'sample_altered',
      tenant: tally.tenant,
      hourMs: tally.hourMs,
      text: `the row of ${named(series)} at ${timeText(row.tsMs)} ${wrong}`,
      series,
      startMs: row.tsMs,
      ...(expected === undefined ? {} : { expected, found }),
    })
  }
}

/** A row of the raw table that its record knows nothing of. The caller has counted it as stored. */
export function inventedRow(books: AuditBooks, tally: HourTally, row: StoredSample): void {
  tally.invented += 1
  const at = timeText(row.tsMs)
  books.add({
    kind: 'sample_invented',
    tenant: tally.tenant,
    hourMs: tally.hourMs,
    text: `the row of series ${row.series} at ${at} is nothing that its record at ${where(row)} brings`,
    series: row.series,
    startMs: row.tsMs,
    found: row.text === '' ? row.value : row.text,
  })
}

export const named = ({ device, metric }: SeriesIdentity): string => `${device} ${metric}`

const where = (at: Readonly<{ partition: number; offset: number }>): string =>
  `${at.partition}:${at.offset}`

const shown = (value: unknown): string => JSON.stringify(value)
