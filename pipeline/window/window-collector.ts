/** One window into which samples are put in the order of time, to be folded when it is whole. */
import { widened } from './columns.ts'
import { foldNumbers, NUMBERS_PER_WINDOW } from './fold-numbers.ts'
import type { RollupRows, RowHead } from './rollup-row.ts'
import type { SeriesRef } from './series.ts'
import type { SketchBuilder } from './sketch-builder.ts'

export class WindowCollector {
  readonly #numbers = new Float64Array(NUMBERS_PER_WINDOW)
  #dts = new Uint16Array(64)
  #values = new Float64Array(64)
  #startMs = 0
  #count = 0
  #isText = false
  #firstText = ''
  #lastText = ''

  begin(startMs: number, isText: boolean): void {
    this.#startMs = startMs
    this.#isText = isText
    this.#count = 0
    this.#firstText = ''
    this.#lastText = ''
  }

  add(tsMs: number, value: number, text: string): void {
    const at = this.#count
    this.#dts = widened(this.#dts, at + 1)
    this.#values = widened(this.#values, at + 1)
    this.#dts[at] = tsMs - this.#startMs
    this.#values[at] = value
    this.#count = at + 1
    if (!this.#isText) return
    if (at === 0) this.#firstText = text
    this.#lastText = text
  }

  /** Adds the row of what was collected. */
  writeTo<S extends SeriesRef>(
    rows: RollupRows<S>,
    head: Omit<RowHead<S>, 'startMs'>,
    sketch: SketchBuilder,
  ): void {
    const [dts, values, count, startMs] = [this.#dts, this.#values, this.#count, this.#startMs]
    foldNumbers(this.#numbers, 0, dts, values, 0, 0, count)
    sketch.clear()
    if (!this.#isText) sketch.addAll(new Int32Array(values.buffer), 0, count)
    sketch.sort()
    const window = {
      numbers: this.#numbers,
      at: 0,
      count,
      firstTsMs: startMs + (dts[0] ?? 0),
      lastTsMs: startMs + (dts[count - 1] ?? 0),
      firstText: this.#firstText,
      lastText: this.#lastText,
    }
    rows.addFolded({ ...head, startMs }, window, sketch)
  }
}
