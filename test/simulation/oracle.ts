/**
 * Says what is wrong with the tables, by the log, after every commit and row: what must hold at any
 * time (final-check.ts looks at all in the end). Findings begin with the invariant they break:
 *
 *   I1 every sample that counts is in raw       I5 counts of the resolutions agree
 *   I2 nothing is invented                      I6 a reader never sees a count go down
 *   I3 rollups are exact, bit for bit           I9 what is committed is durable
 *   I4 nothing is counted twice                 I10 what was skipped or refused is a dead letter
 */
import { parseCheckpoint } from '../../pipeline/window/checkpoint.ts'
import { seriesIdOf } from '../../pipeline/window/series-id.ts'
import type { Checkpoint } from '../../platform/kafka/log.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { DAY_MS } from '../../schemas/telemetry.ts'
import type { WindowUpdate } from '../../schemas/window-update.ts'
import { collidingMetric } from './hash-collisions.ts'
import { RETENTION } from './plan.ts'
import { type SeriesPlace, type SimTables, placeKey, type StoredRollup } from './sim-tables.ts'
import { countIn, type TrueRecord, type TrueSeries, type Truth } from './truth.ts'

export type OracleWorld = Readonly<{
  truth: Truth
  tables: SimTables
  nowMs: () => number
  /** One process at a time, all alike, and no offset missing: then readers see counts grow only. */
  calm: boolean
}>

const HEADERS = DEAD_LETTER_HEADERS
/** Fold epochs take the low 8 bits of a version; offsets of a simulated log need few of the rest. */
const offsetOfVersion = (version: number): number => Math.floor((version % 2 ** 40) / 256)

export class Oracle {
  readonly findings: string[] = []
  readonly #world: OracleWorld
  readonly #byPlace = new Map<string, TrueSeries>()
  readonly #places = new Map<TrueSeries, SeriesPlace>()
  /** By partition: P of the furthest commit, before which all was found durable. */
  readonly durableTo: number[]
  readonly #letters = new Map<string, Buffer | null>()

  constructor(world: OracleWorld) {
    this.#world = world
    this.durableTo = world.truth.records.map(() => 0)
  }

  placeOf(series: TrueSeries): SeriesPlace {
    let place = this.#places.get(series)
    if (place === undefined) {
      const { tenant, device, metric, kind } = series
      place = { tenant, id: seriesIdOf({ device, metric: collidingMetric(metric), kind }, '') }
      this.#places.set(series, place)
    }
    return place
  }

  finding(text: string): void {
    this.findings.push(text)
  }

  /** I9: everything before P is in the tables or in the dead letters. */
  committed(partition: number, checkpoint: Checkpoint): void {
    const read = parseCheckpoint(checkpoint.offset, checkpoint.metadata)
    if (read === undefined) {
      this.finding(`I9 unreadable commit: ${checkpoint.metadata}`)
      return
    }
    const from = this.durableTo[partition] ?? 0
    for (const record of this.#world.truth.records[partition] ?? []) {
      if (record.offset < from) continue
      if (record.offset >= read.position) break
      this.#mustBeDurable(record)
    }
    this.durableTo[partition] = Math.max(from, read.position)
  }

  letter(value: Buffer | null, headers: Readonly<Record<string, Buffer>>): void {
    const text = (name: string): string => headers[name]?.toString() ?? ''
    const [partition, offset] = [Number(text(HEADERS.partition)), Number(text(HEADERS.offset))]
    const record = this.#world.truth.records[partition]?.find((each) => each.offset === offset)
    if (record === undefined || (record.telemetry !== undefined && record.refused.length === 0)) {
      this.finding(`I10 a dead letter of ${partition}/${offset}, which is all right`)
      return
    }
    if (!same(record.value, value)) this.finding(`I10 ${partition}/${offset} was altered`)
    const indexes = text(HEADERS.samples)
    if (record.telemetry !== undefined && indexes !== JSON.stringify(record.refused)) {
      this.finding(`I10 ${partition}/${offset}: refused ${indexes}, not ${record.refused.join()}`)
    }
    this.#letters.set(`${partition}/${offset}`, value)
  }

  hasLetter({ partition, offset }: TrueRecord): boolean {
    return this.#letters.has(`${partition}/${offset}`)
  }

  /** A row holds every sample up to its version, and none that is not in the log. */
  row(place: SeriesPlace, sizeMs: number, row: StoredRollup): void {
    const series = this.#seriesAt(place)
    if (series === undefined) {
      this.finding(`I2 a row of a series that is not in the log: ${placeKey(place)}`)
      return
    }
    // Two names may share this place then; what is in it is looked at in the end.
    if (series.metric.startsWith('twin')) return
    const { aggregate, startMs, version } = row
    this.#mustHold(series, { startMs, sizeMs }, { version, count: aggregate.count })
    this.#mustSayWhen(series.partition, row)
  }

  /** The time of a correction is when the record in its version was appended. */
  #mustSayWhen(partition: number, { correctedAtMs, version }: StoredRollup): void {
    const offset = offsetOfVersion(version)
    const record = this.#world.truth.records[partition]?.find((each) => each.offset === offset)
    if (correctedAtMs === 0 || record === undefined || record.appendMs === correctedAtMs) return
    this.finding(`I3 a correction at ${partition}/${offset} says it was made at ${correctedAtMs}`)
  }

  /** I6, where it can be promised. */
  read(before: readonly StoredRollup[], row: StoredRollup): void {
    const [top] = before
    if (!this.#world.calm || top === undefined || row.version < top.version) return
    const lost = before.find((each) => each.aggregate.count > row.aggregate.count)
    if (lost === undefined) return
    this.finding(
      `I6 the window at ${row.startMs} went from ${lost.aggregate.count} samples to ` +
        `${row.aggregate.count} (version ${lost.version} to ${row.version})`,
    )
  }

  published(update: WindowUpdate): void {
    const { truth } = this.#world
    for (const { metric, kind, resolutionMs, start, count, version } of update.windows) {
      const name = `${update.tenant}/${update.device}/${metric}/${kind}`
      const series = truth.series.get(name)
      const window = { startMs: start, sizeMs: resolutionMs }
      if (series === undefined) this.finding(`I2 a live update of ${name}, which is not in the log`)
      else this.#mustHold(series, window, { version, count })
    }
  }

  isExpired(tsMs: number): boolean {
    return tsMs < this.#world.nowMs() - RETENTION.rawRetentionDays * DAY_MS
  }

  #mustHold(
    series: TrueSeries,
    window: Readonly<{ startMs: number; sizeMs: number }>,
    row: Readonly<{ version: number; count: number }>,
  ): void {
    const most = countIn(series, window)
    const least = this.#world.truth.countUpTo(series, window, offsetOfVersion(row.version))
    if (row.count >= least && row.count <= most) return
    const { device, metric, kind } = series
    this.finding(
      `I3 ${device}/${metric}/${kind} ${window.sizeMs} ${window.startMs}: ${row.count} samples at ` +
        `offset ${offsetOfVersion(row.version)}, not ${least} to ${most}`,
    )
  }

  #mustBeDurable(record: TrueRecord): void {
    const { tables, truth } = this.#world
    const { partition, offset } = record
    if (truth.isLost(partition, offset)) return
    const bad = record.telemetry === undefined || record.refused.length > 0
    if (bad && !this.hasLetter(record)) {
      this.finding(`I9 I10 ${partition}/${offset} was passed without its dead letter`)
    }
    const seq = record.telemetry?.seq ?? -1
    if (seq >= 0 && tables.messages.get(`${partition}/${offset}`)?.seq !== seq) {
      this.finding(`I9 ${partition}/${offset} was passed, and its message number is not stored`)
    }
    for (const { series, tsMs } of record.samples) {
      if (this.isExpired(tsMs)) continue
      if (tables.rowsOf(this.placeOf(series)).samples.has(tsMs)) continue
      this.finding(`I9 ${partition}/${offset} was passed, and its sample at ${tsMs} is not stored`)
    }
  }

  #seriesAt(place: SeriesPlace): TrueSeries | undefined {
    const key = placeKey(place)
    const known = this.#byPlace.get(key)
    if (known !== undefined) return known
    for (const series of this.#world.truth.series.values()) {
      this.#byPlace.set(placeKey(this.placeOf(series)), series)
    }
    return this.#byPlace.get(key)
  }
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  if (a === null || b === null) return a === b
  return a.equals(b)
}
