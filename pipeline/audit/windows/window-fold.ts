/**
 * The self-check's own arithmetic: what rollup rows must hold, folded again from raw samples, and
 * from rows of the next finer table for hours and days. Pure, and written apart from the
 * pipeline's fold on purpose: a check that calls what it checks finds nothing.
 */

/** What is compared; m2, the integral and the sketch are left to the pipeline's own tests. */
export type WindowContent = {
  count: number
  sum: number
  min: number
  max: number
  first: number
  last: number
  firstTsMs: number
  lastTsMs: number
  firstText: string
  lastText: string
}

export type WindowRow = Readonly<{
  startMs: number
  partition: number
  /** Offset of the record up to which the row holds all samples. */
  versionOffset: number
  content: Readonly<WindowContent>
}>

export type RawSample = Readonly<{
  tsMs: number
  value: number
  text: string
  partition: number
  offset: number
}>

/** How far the pipeline had committed when the reading began. */
export type Progress = Readonly<{
  /** P of a partition */
  positionOf(partition: number): number
  /** C of a partition */
  closedToMsOf(partition: number): number
}>

export type Mismatch = Readonly<{
  kind: 'window_wrong' | 'window_absent' | 'window_invented'
  resolutionMs: number
  startMs: number
  /** The fields that differ; undefined where there is no row, or should be none. */
  expected: Partial<WindowContent> | undefined
  found: Partial<WindowContent> | undefined
}>

type WindowVerdict = { checked: number; mismatches: Mismatch[] }

type Folded = { content: WindowContent; partition: number }

/**
 * One series' windows of one size, from raw samples that come in the order of their times.
 *
 * A row holds all samples that are committed, and all up to the offset in its version. A correction
 * reads the raw table while later records are written to it, so it may hold some of those too: the
 * next ones in the order of their offsets. Windows in `doubted` are judged with that in mind, at the
 * price of keeping their samples.
 */
export class RawFold {
  readonly #sizeMs: number
  readonly #rows: ReadonlyMap<number, WindowRow>
  readonly #progress: Progress
  readonly #doubted: ReadonlySet<number>
  readonly #folded = new Map<number, Folded>()
  readonly #kept = new Map<number, KeptSamples>()

  constructor(
    sizeMs: number,
    rows: readonly WindowRow[],
    progress: Progress,
    doubted: ReadonlySet<number> = NONE,
  ) {
    this.#sizeMs = sizeMs
    this.#rows = new Map(rows.map((row) => [row.startMs, row]))
    this.#progress = progress
    this.#doubted = doubted
  }

  add(sample: RawSample): void {
    const { tsMs, partition, offset } = sample
    const startMs = Math.floor(tsMs / this.#sizeMs) * this.#sizeMs
    const heldTo = this.#rows.get(startMs)?.versionOffset ?? -1
    const isHeld = offset <= heldTo || offset < this.#progress.positionOf(partition)
    if (this.#doubted.has(startMs)) {
      const kept = this.#kept.get(startMs)
      if (kept === undefined) {
        this.#kept.set(startMs, isHeld ? [[sample], []] : [[], [sample]])
      } else kept[isHeld ? 0 : 1].push(sample)
    }
    if (isHeld) fold(this.#folded, startMs, sample)
  }

  /** `rowsFromMs`: rows of windows that start before it may have expired. */
  verdict(rowsFromMs: number): WindowVerdict {
    for (const [startMs, [held, further]] of this.#kept) {
      const ahead = (this.#rows.get(startMs)?.content.count ?? 0) - held.length
      if (ahead <= 0 || ahead > further.length) continue
      const next = further.toSorted((a, b) => a.offset - b.offset).slice(0, ahead)
      this.#folded.delete(startMs)
      for (const sample of [...held, ...next].sort((a, b) => a.tsMs - b.tsMs)) {
        fold(this.#folded, startMs, sample)
      }
    }
    return compared({
      ...{ resolutionMs: this.#sizeMs, rows: this.#rows, folded: this.#folded, rowsFromMs },
      progress: this.#progress,
    })
  }
}

/** Samples that the row must hold, and further ones. */
type KeptSamples = readonly [held: RawSample[], further: RawSample[]]
const NONE: ReadonlySet<number> = new Set()

function fold(into: Map<number, Folded>, startMs: number, sample: RawSample): void {
  const { tsMs, value, text, partition } = sample
  const content = into.get(startMs)?.content
  if (content === undefined) {
    into.set(startMs, { partition, content: contentOf(tsMs, value, text) })
    return
  }
  content.count += 1
  content.sum += value
  content.min = Math.min(content.min, value)
  content.max = Math.max(content.max, value)
  content.last = value
  content.lastTsMs = tsMs
  content.lastText = text
}

function contentOf(tsMs: number, value: number, text: string): WindowContent {
  return {
    count: 1,
    sum: value,
    ...{ min: value, max: value, first: value, last: value },
    ...{ firstTsMs: tsMs, lastTsMs: tsMs, firstText: text, lastText: text },
  }
}

/**
 * Hours against their minutes, days against their hours, of one series; rows in the order of time.
 * The parents must have been read before the children: a child that is newer than what was
 * committed then may not be in its parent yet, and its parent is not judged.
 */
export function mergedVerdict(
  of: Readonly<{
    parentMs: number
    parents: readonly WindowRow[]
    children: readonly WindowRow[]
    progress: Progress
    rowsFromMs: number
  }>,
): WindowVerdict {
  const { parentMs, parents, children, progress, rowsFromMs } = of
  const folded = new Map<number, Folded>()
  const pending = new Set<number>()
  for (const child of children) {
    const startMs = Math.floor(child.startMs / parentMs) * parentMs
    if (child.versionOffset >= progress.positionOf(child.partition)) pending.add(startMs)
    const known = folded.get(startMs)
    if (known === undefined) {
      folded.set(startMs, { partition: child.partition, content: { ...child.content } })
    } else merge(known.content, child.content)
  }
  for (const startMs of pending) folded.delete(startMs)
  const rows = new Map(
    parents.flatMap((row) => (pending.has(row.startMs) ? [] : [[row.startMs, row] as const])),
  )
  return compared({ resolutionMs: parentMs, rows, folded, progress, rowsFromMs })
}

function merge(into: WindowContent, next: Readonly<WindowContent>): void {
  into.count += next.count
  into.sum += next.sum
  into.min = Math.min(into.min, next.min)
  into.max = Math.max(into.max, next.max)
  into.last = next.last
  into.lastTsMs = next.lastTsMs
  into.lastText = next.lastText
}

function compared(
  of: Readonly<{
    resolutionMs: number
    rows: ReadonlyMap<number, WindowRow>
    folded: ReadonlyMap<number, Folded>
    progress: Progress
    rowsFromMs: number
  }>,
): WindowVerdict {
  const { resolutionMs, rows, folded, progress, rowsFromMs } = of
  const verdict: WindowVerdict = { checked: 0, mismatches: [] }
  const starts = new Set([...rows.keys(), ...folded.keys()])
  for (const startMs of starts) {
    const row = rows.get(startMs)
    const expected = folded.get(startMs)
    const partition = row?.partition ?? expected?.partition ?? 0
    if (startMs + resolutionMs > progress.closedToMsOf(partition)) continue
    if (row === undefined && startMs < rowsFromMs) continue
    verdict.checked += 1
    const differing = differences(expected?.content, row?.content)
    if (differing !== undefined) verdict.mismatches.push({ resolutionMs, startMs, ...differing })
  }
  return verdict
}

function differences(
  expected: Readonly<WindowContent> | undefined,
  found: Readonly<WindowContent> | undefined,
): Pick<Mismatch, 'kind' | 'expected' | 'found'> | undefined {
  if (found === undefined) return { kind: 'window_absent', expected, found }
  if (expected === undefined) return { kind: 'window_invented', expected, found }
  const wrong = FIELDS.filter((field) => !isSame(expected[field], found[field]))
  if (wrong.length === 0) return undefined
  const some = (of: Readonly<WindowContent>): Partial<WindowContent> =>
    Object.fromEntries(wrong.map((field) => [field, of[field]]))
  return { kind: 'window_wrong', expected: some(expected), found: some(found) }
}

const FIELDS = [
  ...(['count', 'sum', 'min', 'max', 'first', 'last'] as const),
  ...(['firstTsMs', 'lastTsMs', 'firstText', 'lastText'] as const),
]

/** A sum beyond the range of a double comes out of the database as no number. */
const isSame = (expected: number | string, found: number | string): boolean =>
  expected === found ||
  (typeof expected === 'number' && !Number.isFinite(expected) && Number.isNaN(found))
