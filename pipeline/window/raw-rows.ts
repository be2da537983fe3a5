/** Rows of the raw table: one for each sample that came, from one partition. */
import { widened } from './columns.ts'
import type { TelemetryReader } from '../../schemas/telemetry-reader.ts'
import type { Series } from './series.ts'

/** Bits of a raw row's flags. */
export const FLAG_UNSTAMPED = 1
/** The edge shifted the device's times. */
export const FLAG_RESTAMPED = 2

const FIRST_ROWS = 256

/** A column each: a flush holds tens of thousands of them. */
export class RawRows {
  readonly partition: number
  count = 0
  readonly series: Series[] = []
  tsMs: Float64Array
  values: Float64Array
  offsets: Float64Array
  flags: Uint8Array
  /** By row, for the few that have one. */
  readonly texts = new Map<number, string>()
  readonly shiftsMs = new Map<number, number>()

  /** `expected` rows get their room at once. */
  constructor(partition: number, expected = 0) {
    this.partition = partition
    const rows = Math.max(FIRST_ROWS, expected)
    this.tsMs = new Float64Array(rows)
    this.values = new Float64Array(rows)
    this.offsets = new Float64Array(rows)
    this.flags = new Uint8Array(rows)
  }

  // oxlint-disable-next-line max-params -- once per sample: an options object would be garbage
  add(series: Series, tsMs: number, value: number, offset: number, flags: number): void {
    const row = this.#begin(series, offset, flags)
    this.tsMs[row] = tsMs
    this.values[row] = value
  }

  /** Adds sample k of a record: its numbers stay in their arrays, handed over they would be objects. */
  // oxlint-disable-next-line max-params -- once per sample: an options object would be garbage
  addFrom(record: TelemetryReader, k: number, series: Series, offset: number, flags: number): void {
    const row = this.#begin(series, offset, flags)
    this.tsMs[row] = record.tsMs[k] ?? NaN
    this.values[row] = record.values[k] ?? NaN
  }

  #begin(series: Series, offset: number, flags: number): number {
    const row = this.count
    if (row === this.tsMs.length) this.#grow()
    this.series.push(series)
    this.offsets[row] = offset
    this.flags[row] = flags
    this.count = row + 1
    return row
  }

  #grow(): void {
    const rows = this.count + 1
    this.tsMs = widened(this.tsMs, rows)
    this.values = widened(this.values, rows)
    this.offsets = widened(this.offsets, rows)
    this.flags = widened(this.flags, rows)
  }
}

/** A message that its device numbered: the witness of those that are missing. */
export type NumberedMessage = Readonly<{
  tenant: string
  device: string
  seq: number
  recvTs: number
  partition: number
  offset: number
}>
