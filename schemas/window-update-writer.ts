/**
 * Writes WindowUpdate frames straight from columns of windows, byte for byte as avsc would: live
 * updates are most of what the pipeline sends, and an object for each would cost more than its
 * fold. Knows today's schema by heart; a test compares it with avsc.
 */
import type { SeriesKind } from './window-update.ts'

/** Windows of one size, a column for each property. Texts by row, for the few that have one. */
export type WindowColumns = Readonly<{
  resolutionMs: number
  series: readonly Readonly<{ metric: string; kind: SeriesKind }>[]
  startsMs: Float64Array
  counts: Uint32Array
  sums: Float64Array
  mins: Float64Array
  maxs: Float64Array
  firsts: Float64Array
  lasts: Float64Array
  firstTsMs: Float64Array
  lastTsMs: Float64Array
  m2s: Float64Array
  integrals: Float64Array
  firstTexts: ReadonlyMap<number, string>
  lastTexts: ReadonlyMap<number, string>
  finals: Uint8Array
  correctedAtMs: Float64Array
  versions: Float64Array
}>
export type WindowPlace = Readonly<{ rows: WindowColumns; row: number }>

const FRAME_BYTES = 5
const SLAB_BYTES = 256 * 1024
/** Numbers of a window, each as long as it can be, without its texts. */
const NUMBERS_BYTES = 8 * 8 + 9 * 10 + 8
const UTF8_BYTES_PER_UNIT = 3

export interface WindowUpdateEncoder {
  /** The framed update of some windows of one device. The bytes may be kept. */
  encode(tenant: string, device: string, windows: readonly WindowPlace[]): Buffer
}

export class WindowUpdateWriter implements WindowUpdateEncoder {
  readonly #schemaId: number
  #slab = Buffer.alloc(0)
  #view = new DataView(new ArrayBuffer(0))
  /** Frames handed out lie before this and are never written again. */
  #at = 0

  constructor(schemaId: number) {
    this.#schemaId = schemaId
  }

  encode(tenant: string, device: string, windows: readonly WindowPlace[]): Buffer {
    this.#reserve(bytesAtMost(tenant, device, windows))
    const from = this.#at
    this.#slab[from] = 0
    this.#view.setUint32(from + 1, this.#schemaId)
    this.#at = from + FRAME_BYTES
    this.#string(tenant)
    this.#string(device)
    this.#long(windows.length)
    for (const { rows, row } of windows) this.#window(rows, row)
    if (windows.length > 0) this.#long(0)
    return this.#slab.subarray(from, this.#at)
  }

  #window(rows: WindowColumns, row: number): void {
    const series = rows.series[row]
    this.#string(series?.metric ?? '')
    this.#string(series?.kind ?? 'number')
    this.#long(rows.resolutionMs)
    this.#long(rows.startsMs[row] ?? 0)
    this.#long(rows.counts[row] ?? 0)
    this.#double(rows.sums[row] ?? 0)
    this.#double(rows.mins[row] ?? 0)
    this.#double(rows.maxs[row] ?? 0)
    this.#double(rows.firsts[row] ?? 0)
    this.#double(rows.lasts[row] ?? 0)
    this.#long(rows.firstTsMs[row] ?? 0)
    this.#long(rows.lastTsMs[row] ?? 0)
    this.#double(rows.m2s[row] ?? 0)
    this.#double(rows.integrals[row] ?? 0)
    this.#string(rows.firstTexts.get(row) ?? '')
    this.#string(rows.lastTexts.get(row) ?? '')
    this.#slab[this.#at] = rows.finals[row] ?? 0
    this.#at += 1
    this.#long(rows.correctedAtMs[row] ?? 0)
    this.#long(rows.versions[row] ?? 0)
  }

  #reserve(bytes: number): void {
    if (this.#slab.length - this.#at >= bytes) return
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
    this.#view = new DataView(this.#slab.buffer)
    this.#at = 0
  }

  #double(value: number): void {
    this.#view.setFloat64(this.#at, value, true)
    this.#at += 8
  }

  /** Zigzag varint of a safe integer of 0 and more. */
  #long(value: number): void {
    const slab = this.#slab
    let at = this.#at
    let rest = value * 2
    while (rest >= 0x1000_0000) {
      slab[at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    let small = rest | 0
    while (small >= 0x80) {
      slab[at++] = (small & 0x7f) | 0x80
      small >>>= 7
    }
    slab[at++] = small
    this.#at = at
  }

  #string(text: string): void {
    const slab = this.#slab
    const units = text.length
    if (units > SHORT) {
      this.#long(Buffer.byteLength(text))
      this.#at += slab.write(text, this.#at)
      return
    }
    const from = this.#at
    slab[from] = units * 2
    for (let n = 0; n < units; n += 1) {
      const unit = text.charCodeAt(n)
      if (unit >= 0x80) {
        const bytes = Buffer.byteLength(text)
        this.#long(bytes)
        this.#at += slab.write(text, this.#at)
        return
      }
      slab[from + 1 + n] = unit
    }
    this.#at = from + 1 + units
  }
}

/** Texts whose length takes one byte and which are quicker written by hand, if they are ASCII. */
const SHORT = 40

function bytesAtMost(tenant: string, device: string, windows: readonly WindowPlace[]): number {
  let units = tenant.length + device.length
  for (const { rows, row } of windows) {
    units += rows.series[row]?.metric.length ?? 0
    units += rows.firstTexts.get(row)?.length ?? 0
    units += rows.lastTexts.get(row)?.length ?? 0
  }
  const fixed = FRAME_BYTES + 40 + windows.length * (NUMBERS_BYTES + 40)
  return fixed + units * UTF8_BYTES_PER_UNIT
}
