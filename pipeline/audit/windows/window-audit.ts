/**
 * The self-check: rollup rows of the sampled series against the raw table, hours against minutes,
 * days against hours. A mismatch is read a second time, against newer commits, before it counts.
 */
import type { Clickhouse } from '../../../platform/clickhouse/clickhouse.ts'
import { type AuditBooks, HOUR_MS, timeText } from '../hour-tally.ts'
import type { SampledSeries } from './series-sample.ts'
import { named, type SeriesIdentity } from '../samples/slice.ts'
import { type Mismatch, mergedVerdict, type Progress, RawFold } from './window-fold.ts'
import { readRaw, readRollups, type ResolutionMs, type SeriesSpan } from './window-tables.ts'

const DAY_MS = 86_400_000
/** Series-hours of one reading: each has 420 rows of rollups at most. */
const SERIES_HOURS_MAX = 240

type WindowAuditParts = Readonly<{
  clickhouse: Pick<Clickhouse, 'select' | 'selectNative'>
  books: AuditBooks
  /** What the pipeline has committed by now. */
  readProgress(): Promise<Progress>
  keptFromMs: ReadonlyMap<ResolutionMs, number>
  /** Called between readings; rejects when the audit should end. */
  breathe(checked: number, ofAll: number): Promise<void>
}>

/** Series that share a span of event hours, or a day. */
type Unit = Readonly<{
  what: 'hours' | 'day'
  tenant: string
  fromMs: number
  toMs: number
  series: readonly Booked[]
}>
type Booked = Readonly<{ series: SeriesIdentity; bookedMs: number }>
type Found = Readonly<{ seriesId: string; mismatch: Mismatch }>

export async function auditWindows(
  parts: WindowAuditParts,
  sampled: readonly SampledSeries[],
): Promise<void> {
  for (const { series, bookedMs } of sampled) {
    parts.books.tally(series.tenant, bookedMs).seriesChecked += 1
  }
  const units = unitsOf(sampled)
  let done = 0
  for (const unit of units) {
    await auditUnit(parts, unit)
    done += 1
    await parts.breathe(done, units.length)
  }
}

async function auditUnit(parts: WindowAuditParts, unit: Unit): Promise<void> {
  const bookedOf = new Map(unit.series.map((each) => [each.series.id, each]))
  const first = await checkUnit(parts, unit)
  for (const [id, checked] of first.checked) {
    const booked = bookedOf.get(id)
    if (booked !== undefined)
      parts.books.tally(unit.tenant, booked.bookedMs).windowsChecked += checked
  }
  if (first.found.length === 0) return
  const suspects = new Set(first.found.map(({ seriesId }) => seriesId))
  const series = unit.series.filter((each) => suspects.has(each.series.id))
  const second = await checkUnit(parts, { ...unit, series }, first.found)
  const before = new Set(first.found.map(placeOf))
  for (const each of second.found) {
    const booked = bookedOf.get(each.seriesId)
    if (booked !== undefined && before.has(placeOf(each)))
      report(parts.books, booked, each.mismatch)
  }
}

const placeOf = ({ seriesId, mismatch }: Found): string =>
  `${seriesId} ${mismatch.resolutionMs} ${mismatch.startMs}`

type UnitVerdict = Readonly<{ checked: ReadonlyMap<string, number>; found: readonly Found[] }>

/** Commits first, then coarse rows before fine ones and raw last: what is newer is finer. */
async function checkUnit(
  parts: WindowAuditParts,
  unit: Unit,
  doubts: readonly Found[] = [],
): Promise<UnitVerdict> {
  const { clickhouse } = parts
  const progress = await parts.readProgress()
  const series = unit.series.map((each) => each.series.id)
  const span: SeriesSpan = { ...unit, series }
  const checked = new Map<string, number>()
  const found: Found[] = []
  const take = (
    seriesId: string,
    verdict: { checked: number; mismatches: readonly Mismatch[] },
  ) => {
    checked.set(seriesId, (checked.get(seriesId) ?? 0) + verdict.checked)
    for (const mismatch of verdict.mismatches) found.push({ seriesId, mismatch })
  }
  const keptFrom = (resolutionMs: ResolutionMs) => parts.keptFromMs.get(resolutionMs) ?? 0
  const parentMs = unit.what === 'day' ? DAY_MS : HOUR_MS
  const parents = await readRollups(clickhouse, parentMs, span)
  const children = await readRollups(clickhouse, unit.what === 'day' ? HOUR_MS : 60_000, span)
  for (const id of series) {
    const rows = { parents: parents.get(id) ?? [], children: children.get(id) ?? [] }
    take(id, mergedVerdict({ ...rows, parentMs, progress, rowsFromMs: keptFrom(parentMs) }))
  }
  if (unit.what === 'day') return { checked, found }
  const tens = await readRollups(clickhouse, 10_000, span)
  const folds = new Map(
    series.map((id) => [
      id,
      [
        new RawFold(10_000, tens.get(id) ?? [], progress, doubted(doubts, id, 10_000)),
        new RawFold(60_000, children.get(id) ?? [], progress, doubted(doubts, id, 60_000)),
      ] as const,
    ]),
  )
  await readRaw(clickhouse, span, (id, sample) => {
    for (const fold of folds.get(id) ?? []) fold.add(sample)
  })
  for (const [id, [ofTens, ofMinutes]] of folds) {
    take(id, ofTens.verdict(keptFrom(10_000)))
    take(id, ofMinutes.verdict(keptFrom(60_000)))
  }
  return { checked, found }
}

/** Windows of a series in which the first reading found a mismatch. */
const doubted = (doubts: readonly Found[], id: string, resolutionMs: number): ReadonlySet<number> =>
  new Set(
    doubts
      .filter(({ seriesId, mismatch }) => seriesId === id && mismatch.resolutionMs === resolutionMs)
      .map(({ mismatch }) => mismatch.startMs),
  )

function report(books: AuditBooks, { series, bookedMs }: Booked, mismatch: Mismatch): void {
  const { kind, resolutionMs, startMs, expected, found } = mismatch
  const { tenant, device, metric } = series
  books.tally(tenant, bookedMs).windowsWrong += 1
  books.add({
    kind,
    tenant,
    hourMs: bookedMs,
    text: `${named(series)}, window of ${resolutionMs / 1000} s at ${timeText(startMs)}: ${wrong(mismatch)}`,
    series: { device, metric, kind: series.kind },
    ...{ resolutionMs, startMs, expected, found },
  })
}

function wrong({ kind, expected = {}, found = {} }: Mismatch): string {
  if (kind === 'window_absent') return `no row, although there are ${expected.count} samples`
  if (kind === 'window_invented') return `a row of ${found.count} samples, although there are none`
  const fields = Object.keys(expected) as (keyof typeof expected)[]
  return fields
    .map((field) => `${field} is ${String(found[field])}, should be ${String(expected[field])}`)
    .join('; ')
}

/** Each series and hour once, grouped so that one reading serves many series. */
function unitsOf(sampled: readonly SampledSeries[]): readonly Unit[] {
  const groups = new Map<string, { unit: Omit<Unit, 'series'>; series: Booked[] }>()
  const seen = new Set<string>()
  const add = (unit: Omit<Unit, 'series'>, booked: Booked): void => {
    const key = `${unit.what} ${unit.fromMs} ${unit.toMs} ${unit.tenant}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { unit, series: [booked] })
    else group.series.push(booked)
  }
  for (const { series, bookedMs, hours } of sampled) {
    const { tenant, id } = series
    const isNew = (what: string, startMs: number): boolean => {
      const key = `${what} ${startMs} ${tenant}/${id}`
      return !seen.has(key) && seen.add(key).size > 0
    }
    const fresh = [...hours].filter((hour) => isNew('hour', hour)).sort((a, b) => a - b)
    for (const run of runsOf(fresh)) add({ what: 'hours', tenant, ...run }, { series, bookedMs })
    // The day before an hour that begins a day has just ended.
    const days = [...hours, bookedMs - HOUR_MS].map((hour) => Math.floor(hour / DAY_MS) * DAY_MS)
    for (const fromMs of new Set(days)) {
      if (!isNew('day', fromMs)) continue
      add({ what: 'day', tenant, fromMs, toMs: fromMs + DAY_MS }, { series, bookedMs })
    }
  }
  return [...groups.values()].flatMap(({ unit, series }) => {
    const hours = unit.what === 'day' ? 1 : (unit.toMs - unit.fromMs) / HOUR_MS
    const step = Math.max(1, Math.floor(SERIES_HOURS_MAX / hours))
    const units: Unit[] = []
    for (let at = 0; at < series.length; at += step) {
      units.push({ ...unit, series: series.slice(at, at + step) })
    }
    return units
  })
}

/** Runs of neighbouring hours, of a day at most. */
function runsOf(hours: readonly number[]): readonly Readonly<{ fromMs: number; toMs: number }>[] {
  const runs: { fromMs: number; toMs: number }[] = []
  for (const hour of hours) {
    const run = runs.at(-1)
    if (run !== undefined && run.toMs === hour && hour - run.fromMs < DAY_MS) run.toMs += HOUR_MS
    else runs.push({ fromMs: hour, toMs: hour + HOUR_MS })
  }
  return runs
}
