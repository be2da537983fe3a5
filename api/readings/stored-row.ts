/** A row of a rollup table as it is selected. All of them have the same columns. */
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'

export type StoredRow = Readonly<{
  startSeconds: number
  cnt: number
  /** Null when it is beyond the range of a 64-bit float, as with m2 and integral. */
  sum: number | null
  mn: number
  mx: number
  first: number
  last: number
  firstMs: number
  lastMs: number
  m2: number | null
  integral: number | null
  first_text?: string
  last_text?: string
  /** The sketch in two columns: a bin and its count each. */
  bins?: readonly number[]
  binCounts?: readonly number[]
  final: number
  correctedMs: number
  ver: number
}>

const COLUMNS = [
  'toUnixTimestamp(w) AS startSeconds',
  'cnt, sum, mn, mx, first, last, m2, integral, final, ver',
  'toUnixTimestamp64Milli(first_ts) AS firstMs',
  'toUnixTimestamp64Milli(last_ts) AS lastMs',
  'toUnixTimestamp64Milli(corrected_at) AS correctedMs',
]

/** Texts and sketches only where they say something: they are most of a row. */
export function columnsOf(of: Readonly<{ kind: SeriesKind; sketches: boolean }>): string {
  const texts = of.kind === 'text' ? ['first_text, last_text'] : []
  const sketch =
    of.sketches && of.kind !== 'text'
      ? ['mapKeys(sketch) AS bins, mapValues(sketch) AS binCounts']
      : []
  return [...COLUMNS, ...texts, ...sketch].join(', ')
}

const NO_SKETCH: ReadonlyMap<number, number> = new Map()

export function asPart(row: StoredRow): WindowPart {
  return {
    count: row.cnt,
    sum: row.sum ?? NaN,
    min: row.mn,
    max: row.mx,
    first: row.first,
    last: row.last,
    firstTsMs: row.firstMs,
    lastTsMs: row.lastMs,
    m2: row.m2 ?? NaN,
    integral: row.integral ?? NaN,
    firstText: row.first_text ?? '',
    lastText: row.last_text ?? '',
    sketch: row.bins === undefined ? NO_SKETCH : sketchOf(row.bins, row.binCounts ?? []),
  }
}

function sketchOf(bins: readonly number[], counts: readonly number[]): ReadonlyMap<number, number> {
  const sketch = new Map<number, number>()
  for (const [at, bin] of bins.entries()) sketch.set(bin, counts[at] ?? 0)
  return sketch
}
