/**
 * The tables of a simulated world, as unhelpful as ReplacingMergeTree may be: of rows with one key
 * the highest version wins, and of equal versions each read may see any.
 */
import type { NumberedMessage } from '../../pipeline/window/raw-rows.ts'
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { Random } from './random.ts'

/** What names a series in the tables: its tenant and its id. */
export type SeriesPlace = Readonly<{
  tenant: string
  id: Readonly<{ high: number; low: number }>
}>

export type StoredSample = Readonly<{
  tsMs: number
  value: number
  text: string
  offset: number
  flags: number
  shiftMs: number
}>
export type StoredRollup = Readonly<{
  startMs: number
  partition: number
  aggregate: WindowPart
  final: boolean
  correctedAtMs: number
  version: number
}>

/** All rows of one series; of each key only those that can still be read. */
export type SeriesRows = Readonly<{
  place: SeriesPlace
  names: Set<string>
  samples: Map<number, StoredSample[]>
  /** By resolution, then start. */
  rollups: Map<number, Map<number, StoredRollup[]>>
}>

const keys = new WeakMap<SeriesPlace, string>()

/** Asked for with every row: remembered with the object. */
export function placeKey(place: SeriesPlace): string {
  let key = keys.get(place)
  if (key === undefined) keys.set(place, (key = `${place.tenant} ${place.id.high}:${place.id.low}`))
  return key
}

export class SimTables {
  readonly series = new Map<string, SeriesRows>()
  /** By `partition/offset`. */
  readonly messages = new Map<string, NumberedMessage>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  rowsOf(place: SeriesPlace): SeriesRows {
    const key = placeKey(place)
    let rows = this.series.get(key)
    if (rows === undefined) {
      const { tenant, id } = place
      rows = { place: { tenant, id }, names: new Set(), samples: new Map(), rollups: new Map() }
      this.series.set(key, rows)
    }
    return rows
  }

  putSample(place: SeriesPlace, row: StoredSample): void {
    const { samples } = this.rowsOf(place)
    const stored = samples.get(row.tsMs)
    const offset = stored?.[0]?.offset ?? Infinity
    if (row.offset < offset) samples.set(row.tsMs, [row])
    else if (row.offset === offset && !stored?.some((each) => sameSample(each, row))) {
      stored?.push(row)
    }
  }

  /** Answers the rows that were read until now, for whoever watches what readers see. */
  putRollup(place: SeriesPlace, sizeMs: number, row: StoredRollup): readonly StoredRollup[] {
    const { rollups } = this.rowsOf(place)
    let starts = rollups.get(sizeMs)
    if (starts === undefined) rollups.set(sizeMs, (starts = new Map()))
    const stored = starts.get(row.startMs) ?? []
    const version = stored[0]?.version ?? -1
    if (row.version > version) starts.set(row.startMs, [row])
    else if (row.version === version) starts.set(row.startMs, [...stored, row])
    return stored
  }

  /** One series' samples in the order of time, as SELECT … FINAL shows them this time. */
  readSamples(place: SeriesPlace, within: (tsMs: number) => boolean): StoredSample[] {
    const found: StoredSample[] = []
    for (const [tsMs, rows] of this.rowsOf(place).samples) {
      const row = within(tsMs) ? this.#pick(rows) : undefined
      if (row !== undefined) found.push(row)
    }
    return found.sort((a, b) => a.tsMs - b.tsMs)
  }

  /** One series' rollup rows in the order of their starts. */
  readRollups(
    place: SeriesPlace,
    sizeMs: number,
    within: (row: StoredRollup) => boolean,
  ): StoredRollup[] {
    const found: StoredRollup[] = []
    for (const rows of this.rowsOf(place).rollups.get(sizeMs)?.values() ?? []) {
      const row = this.#pick(rows)
      if (row !== undefined && within(row)) found.push(row)
    }
    return found.sort((a, b) => a.startMs - b.startMs)
  }

  /** The readable rows of one size that these partitions wrote. */
  *readAll(sizeMs: number, partitions: readonly number[]): Generator<StoredRollup> {
    for (const { rollups } of this.series.values()) {
      for (const rows of rollups.get(sizeMs)?.values() ?? []) {
        const row = this.#pick(rows)
        if (row !== undefined && partitions.includes(row.partition)) yield row
      }
    }
  }

  /** Raw rows older than this are dropped, as their TTL allows. */
  expireSamples(beforeMs: number): void {
    for (const { samples } of this.series.values()) {
      for (const tsMs of samples.keys()) if (tsMs < beforeMs) samples.delete(tsMs)
    }
  }

  #pick<Row>(rows: readonly Row[]): Row | undefined {
    return rows.length > 1 ? this.#random.some(rows) : rows[0]
  }
}

const sameSample = (a: StoredSample, b: StoredSample): boolean =>
  Object.is(a.value, b.value) && a.text === b.text
