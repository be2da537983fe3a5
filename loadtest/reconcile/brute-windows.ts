/**
 * Rollups computed the slow and obvious way, from all samples of a series at once. Nothing here is
 * shared with the pipeline: two programs that agree by sharing a mistake prove nothing.
 */
export type SeriesSample = Readonly<{ ts: number; value: number; text: string }>
export type BruteWindow = Readonly<{
  start: number
  count: number
  sum: number
  min: number
  max: number
  first: number
  last: number
  firstText: string
  lastText: string
}>

/** Tumbling windows by start time. A time that repeats counts once; the first of them counts. */
export function bruteWindows(
  samples: readonly SeriesSample[],
  windowMs: number,
): Map<number, BruteWindow> {
  const byTime = new Map<number, SeriesSample>()
  for (const sample of samples) if (!byTime.has(sample.ts)) byTime.set(sample.ts, sample)
  const members = new Map<number, SeriesSample[]>()
  for (const sample of [...byTime.values()].sort((a, b) => a.ts - b.ts)) {
    const start = Math.floor(sample.ts / windowMs) * windowMs
    members.set(start, [...(members.get(start) ?? []), sample])
  }
  return new Map([...members].map(([start, inside]) => [start, windowOf(start, inside)]))
}

/** `inside` is in time order and not empty. */
function windowOf(start: number, inside: readonly SeriesSample[]): BruteWindow {
  const values = inside.map(({ value }) => value)
  return {
    start,
    count: inside.length,
    sum: values.reduce((sum, value) => sum + value, 0),
    min: Math.min(...values),
    max: Math.max(...values),
    first: values[0] ?? Number.NaN,
    last: values.at(-1) ?? Number.NaN,
    firstText: inside[0]?.text ?? '',
    lastText: inside.at(-1)?.text ?? '',
  }
}

/**
 * Sums may be added in another order or with compensation; everything else must be the same to the
 * last bit. 1e-9 of the window's largest magnitude times its count is far below any lost sample.
 */
const SUM_TOLERANCE = 1e-9

/** Names of the fields that differ; empty when the stored window is right. */
export function differences(
  expected: BruteWindow,
  stored: Omit<BruteWindow, 'start'>,
  kind: 'number' | 'boolean' | 'text',
): string[] {
  const wrong: string[] = []
  const check = (name: keyof typeof stored): void => {
    if (expected[name] !== stored[name]) wrong.push(name)
  }
  check('count')
  if (kind === 'text') {
    check('firstText')
    check('lastText')
    return wrong
  }
  for (const name of ['min', 'max', 'first', 'last'] as const) check(name)
  const scale = Math.max(Math.abs(expected.min), Math.abs(expected.max), Number.MIN_VALUE)
  const tolerance = SUM_TOLERANCE * scale * expected.count
  if (!(Math.abs(expected.sum - stored.sum) <= tolerance)) wrong.push('sum')
  return wrong
}
