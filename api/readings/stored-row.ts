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
  sketch?: Readonly<Record<string, number>>
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
  const sketch = of.sketches && of.kind !== 'text' ? ['sketch'] : []
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
    sketch: row.sketch === undefined ? NO_SKETCH : sketchOf(row.sketch),
  }
}

const sketchOf = (counts: Readonly<Record<string, number>>): ReadonlyMap<number, number> =>
  new Map(Object.entries(counts).map(([bin, count]) => [Number(bin), count]))
