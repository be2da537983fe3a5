/** Compares the tables with the whole log when everything has come to rest. */
import {
  emptyWindowState,
  mergeInto,
  type WindowPart,
  type WindowState,
} from '../../schemas/window-merge.ts'
import type { Oracle } from './oracle.ts'
import type { SimTables, StoredRollup } from './sim-tables.ts'
import { folded, type TrueSample, type TrueSeries, type Truth, windowStart } from './truth.ts'

export type FinalWorld = Readonly<{
  truth: Truth
  tables: SimTables
  oracle: Oracle
  /** By partition: the closed watermark of the last commit. */
  closedToMs: readonly number[]
  /** By partition: no process can have closed anything that ends after this. */
  closedAtMostMs: readonly number[]
  /** Whether all processes agreed about what is closed, so that final says exactly that. */
  agreed: boolean
}>

const FOLDED_MS = [10_000, 60_000] as const
const MERGED_MS = [3_600_000, 86_400_000] as const

export function checkTables(world: FinalWorld): void {
  const { truth, oracle } = world
  for (const records of truth.records) {
    for (const record of records) {
      if (truth.isLost(record.partition, record.offset)) continue
      const bad = record.telemetry === undefined || record.refused.length > 0
      if (bad && !oracle.hasLetter(record)) {
        oracle.finding(`I10 no dead letter of ${record.partition}/${record.offset}`)
      }
    }
  }
  for (const series of truth.series.values()) {
    checkSamples(world, series)
    for (const sizeMs of FOLDED_MS) checkFolded(world, series, sizeMs)
    checkMerged(world, series)
  }
  checkInvented(world)
}

function checkSamples({ truth, tables, oracle }: FinalWorld, series: TrueSeries): void {
  const { samples } = tables.rowsOf(oracle.placeOf(series))
  for (const sample of series.samples.values()) {
    const rows = samples.get(sample.tsMs)
    // The first delivery's row may be gone, and a later one's, from a process that slept, not yet.
    if (oracle.isExpired(sample.tsMs)) continue
    if (rows === undefined) {
      if (truth.mayBeMissing(series, sample)) continue
      oracle.finding(`I1 ${nameOf(series)} at ${sample.tsMs} is lost`)
      continue
    }
    const candidates = truth.candidates(series, sample)
    const right = rows.every((row) =>
      candidates.some(
        ({ offset, value, text, flags, shiftMs }) =>
          row.offset === offset &&
          Object.is(row.value, value) &&
          row.text === text &&
          row.flags === flags &&
          row.shiftMs === shiftMs,
      ),
    )
    if (!right) {
      oracle.finding(
        `I4 ${nameOf(series)} at ${sample.tsMs}: ${show(rows)}, not ${show(candidates)}`,
      )
    }
  }
  for (const tsMs of samples.keys()) {
    if (!series.samples.has(tsMs)) oracle.finding(`I2 ${nameOf(series)} at ${tsMs} is invented`)
  }
}

/** Windows of one size, by their starts, with the samples in them. */
function windowsOf(series: TrueSeries, sizeMs: number): Map<number, TrueSample[]> {
  const windows = new Map<number, TrueSample[]>()
  for (const sample of series.samples.values()) {
    const startMs = windowStart(sample.tsMs, sizeMs)
    const window = windows.get(startMs)
    if (window === undefined) windows.set(startMs, [sample])
    else window.push(sample)
  }
  return windows
}

function checkFolded(world: FinalWorld, series: TrueSeries, sizeMs: number): void {
  const { tables, oracle } = world
  const rows = tables.rowsOf(oracle.placeOf(series)).rollups.get(sizeMs)
  const windows = windowsOf(series, sizeMs)
  for (const [startMs, samples] of windows) {
    const where = `${nameOf(series)} ${sizeMs} ${startMs}`
    const stored = rows?.get(startMs)
    if (isUncertain(world, series, samples)) continue
    if (stored === undefined) {
      oracle.finding(`I3 no row for ${where}`)
      continue
    }
    const expected = exactly(series, samples)
    for (const row of stored) {
      const wrong = difference(row.aggregate, expected)
      if (wrong !== undefined) oracle.finding(`I3 ${where}: ${wrong} (version ${row.version})`)
    }
    checkFinal(world, series, { endMs: startMs + sizeMs, where, stored })
  }
  for (const startMs of rows?.keys() ?? []) {
    if (!windows.has(startMs))
      oracle.finding(`I2 ${nameOf(series)} ${sizeMs} ${startMs} is invented`)
  }
}

type Parent = { state: WindowState; uncertain: boolean }

/** Hours of minutes and days of hours: those that ended by C, exactly, and no other. */
function checkMerged(world: FinalWorld, series: TrueSeries): void {
  let children = new Map<number, Parent>()
  for (const [startMs, samples] of windowsOf(series, 60_000)) {
    const uncertain = isUncertain(world, series, samples)
    children.set(startMs, { state: exactly(series, samples), uncertain })
  }
  for (const sizeMs of MERGED_MS) {
    const parents = mergedInto(children, sizeMs)
    checkParents(world, series, { sizeMs, parents })
    children = parents
  }
}

function mergedInto(children: ReadonlyMap<number, Parent>, sizeMs: number): Map<number, Parent> {
  const parents = new Map<number, Parent>()
  for (const [startMs, child] of [...children].sort(([a], [b]) => a - b)) {
    const parentMs = windowStart(startMs, sizeMs)
    const parent = parents.get(parentMs) ?? { state: emptyWindowState(), uncertain: false }
    parents.set(parentMs, parent)
    mergeInto(parent.state, child.state)
    parent.uncertain ||= child.uncertain
  }
  return parents
}

function checkParents(
  { tables, oracle, closedToMs, closedAtMostMs }: FinalWorld,
  series: TrueSeries,
  { sizeMs, parents }: Readonly<{ sizeMs: number; parents: ReadonlyMap<number, Parent> }>,
): void {
  const rows = tables.rowsOf(oracle.placeOf(series)).rollups.get(sizeMs)
  for (const [startMs, { state, uncertain }] of parents) {
    const where = `${nameOf(series)} ${sizeMs} ${startMs}`
    const stored = rows?.get(startMs)
    const endMs = startMs + sizeMs
    if (uncertain) continue
    if (endMs > (closedAtMostMs[series.partition] ?? 0)) {
      if (stored !== undefined) oracle.finding(`I3 ${where} is still open and has a row`)
      continue
    }
    // Who closes sooner may have written it before the last owner would.
    if (endMs > (closedToMs[series.partition] ?? 0)) continue
    if (stored === undefined) oracle.finding(`I3 no row for ${where}`)
    for (const row of stored ?? []) {
      const wrong = difference(row.aggregate, state)
      if (wrong !== undefined) oracle.finding(`I5 ${where}: ${wrong} (version ${row.version})`)
      if (!row.final) oracle.finding(`I5 ${where} is not final`)
    }
  }
  for (const startMs of rows?.keys() ?? []) {
    if (!parents.has(startMs))
      oracle.finding(`I2 ${nameOf(series)} ${sizeMs} ${startMs} is invented`)
  }
}

function checkFinal(
  { closedToMs, closedAtMostMs, agreed, oracle }: FinalWorld,
  { partition }: TrueSeries,
  {
    endMs,
    where,
    stored,
  }: Readonly<{ endMs: number; where: string; stored: readonly StoredRollup[] }>,
): void {
  const closed = endMs <= (closedToMs[partition] ?? 0)
  if (agreed && closed && !stored.every((row) => row.final)) {
    oracle.finding(`I3 ${where} is closed and not final`)
  }
  if (endMs > (closedAtMostMs[partition] ?? 0) && stored.some((row) => row.final)) {
    oracle.finding(`I3 ${where} is final and cannot be closed`)
  }
}

/** Some of its samples were lost with the log: nothing exact can be said. */
function isUncertain(
  { truth }: FinalWorld,
  series: TrueSeries,
  samples: readonly TrueSample[],
): boolean {
  return samples.some(
    (sample) => truth.mayBeMissing(series, sample) || truth.candidates(series, sample).length > 1,
  )
}

function exactly(series: TrueSeries, samples: readonly TrueSample[]): WindowState {
  const firsts = samples.map(({ tsMs, deliveries }) => {
    const [first] = deliveries
    return { tsMs, value: first?.value ?? NaN, text: first?.text ?? '' }
  })
  return folded(series.kind, firsts)
}

const FIELDS = [
  'count',
  'sum',
  'min',
  'max',
  'first',
  'last',
  'firstTsMs',
  'lastTsMs',
  'm2',
  'integral',
  'firstText',
  'lastText',
] as const

function difference(stored: WindowPart, expected: WindowPart): string | undefined {
  for (const field of FIELDS) {
    if (!Object.is(stored[field], expected[field])) {
      return `${field} is ${stored[field]}, not ${expected[field]}`
    }
  }
  if (stored.sketch.size !== expected.sketch.size) return 'the sketch has other bins'
  for (const [bin, count] of expected.sketch) {
    if (stored.sketch.get(bin) !== count)
      return `bin ${bin} has ${stored.sketch.get(bin)}, not ${count}`
  }
  return undefined
}

function checkInvented({ truth, tables, oracle }: FinalWorld): void {
  const known = new Set(
    [...truth.series.values()].map((series) => tables.rowsOf(oracle.placeOf(series))),
  )
  for (const [key, rows] of tables.series) {
    if (!known.has(rows)) oracle.finding(`I2 the series ${key} is invented`)
  }
}

const nameOf = ({ tenant, device, metric, kind }: TrueSeries): string =>
  `${tenant}/${device}/${metric}/${kind}`
const show = (value: unknown): string => JSON.stringify(value)
