/**
 * A window from its samples, by the textbook and in one's own words: not the fold that wrote the
 * rows, nor the law that merges them, so that a mistake in either shows.
 */
import { binOf } from '../../schemas/quantile-sketch.ts'
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { FieldCheck } from '../contract/explanation.ts'
import type { SeriesKind } from '../contract/resources.ts'
import { valueOf } from '../readings/rollup-item.ts'

export type RawSample = Readonly<{ at: number; value: number; text: string }>

/** Samples are in the order of their times, one for each. */
export function foldedAgain(kind: SeriesKind, samples: readonly RawSample[]): WindowPart {
  const [first, last] = [samples[0], samples.at(-1)]
  const values = kind === 'text' ? [] : samples.map(({ value }) => value)
  const sum = values.reduce((total, value) => total + value, 0)
  const mean = sum / values.length
  const sketch = new Map<number, number>()
  for (const value of values) sketch.set(binOf(value), (sketch.get(binOf(value)) ?? 0) + 1)
  return {
    count: samples.length,
    sum,
    min: values.reduce((a, b) => Math.min(a, b), values[0] ?? 0),
    max: values.reduce((a, b) => Math.max(a, b), values[0] ?? 0),
    first: first?.value ?? 0,
    last: last?.value ?? 0,
    firstTsMs: first?.at ?? 0,
    lastTsMs: last?.at ?? 0,
    m2: values.reduce((m2, value) => m2 + (value - mean) ** 2, 0),
    integral: kind === 'text' ? 0 : areaUnder(samples),
    firstText: first?.text ?? '',
    lastText: last?.text ?? '',
    sketch,
  }
}

function areaUnder(samples: readonly RawSample[]): number {
  let area = 0
  for (const [index, right] of samples.entries()) {
    const left = samples[index - 1]
    if (left !== undefined) area += ((left.value + right.value) / 2) * (right.at - left.at)
  }
  return area
}

/** Adding in another order moves the last digits of a sum: by less than this share of its parts. */
const ADDING_ERROR = 1e-9
/** The same for a deviation, as a share of the largest value: it is a difference of such values. */
const DEVIATION_ERROR = 1e-11

/** Every stored field beside the folded one. Sums may differ in what is lost in adding. */
export function checksOf(
  kind: SeriesKind,
  stored: WindowPart,
  folded: WindowPart,
): readonly FieldCheck[] {
  const same = (field: string, of: (part: WindowPart) => FieldCheck['stored']): FieldCheck => {
    const [ours, theirs] = [of(stored), of(folded)]
    return { field, stored: ours, folded: theirs, equal: ours === theirs }
  }
  const ends = [
    same('count', (part) => part.count),
    same('first', (part) => valueOf(kind, part.first, part.firstText)),
    same('last', (part) => valueOf(kind, part.last, part.lastText)),
    same('firstAt', (part) => part.firstTsMs),
    same('lastAt', (part) => part.lastTsMs),
  ]
  if (kind === 'text') return ends
  return [
    ...ends,
    same('min', (part) => part.min),
    same('max', (part) => part.max),
    ...nearChecks(stored, folded),
    ...sketchCheck(stored, folded),
  ]
}

function nearChecks(stored: WindowPart, folded: WindowPart): readonly FieldCheck[] {
  const near = (field: string, of: (part: WindowPart) => number, error: number): FieldCheck => {
    const [ours, theirs] = [of(stored), of(folded)]
    // Beyond the range of a 64-bit float there is nothing left to compare.
    const lost = !Number.isFinite(ours) && !Number.isFinite(theirs)
    const equal = lost || Math.abs(ours - theirs) <= error
    return { field, stored: told(ours), folded: told(theirs), equal }
  }
  const size = Math.max(Math.abs(folded.min), Math.abs(folded.max))
  const lengthMs = folded.lastTsMs - folded.firstTsMs
  const deviation = (part: WindowPart): number =>
    part.count === 0 ? 0 : Math.sqrt(part.m2 / part.count)
  return [
    near('sum', ({ sum }) => sum, size * folded.count * ADDING_ERROR),
    near('stddev', deviation, deviation(folded) * ADDING_ERROR + size * DEVIATION_ERROR),
    near('integral', ({ integral }) => integral, size * lengthMs * ADDING_ERROR),
  ]
}

/** Rows from before sketches were kept have none, which is no mistake of theirs. */
function sketchCheck(stored: WindowPart, folded: WindowPart): readonly FieldCheck[] {
  if (stored.sketch.size === 0 && stored.count > 0) return []
  const held = ({ sketch }: WindowPart): number => [...sketch.values()].reduce((a, b) => a + b, 0)
  const equal =
    stored.sketch.size === folded.sketch.size &&
    [...folded.sketch].every(([bin, count]) => stored.sketch.get(bin) === count)
  return [{ field: 'sketch', stored: held(stored), folded: held(folded), equal }]
}

const told = (value: number): number | null => (Number.isFinite(value) ? value : null)
