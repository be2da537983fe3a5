/**
 * Whether a record may hold one (series, time) twice. Of such repeats only the first may be
 * stored: both raw rows would carry the same offset, and the table could keep either of them.
 */
import type { Series as Entry, Telemetry } from '../../schemas/telemetry.ts'
import type { Series } from './series.ts'

/** False only when every series occurs once and runs forward in time, which is the usual record. */
export function hasRepeats({ numbers, booleans, strings }: Telemetry): boolean {
  return mayRepeat(numbers) || mayRepeat(booleans) || mayRepeat(strings)
}

function mayRepeat(entries: readonly Entry<unknown>[]): boolean {
  for (let i = 0; i < entries.length; i += 1) {
    const entry = entries[i]
    if (entry === undefined || !runsForward(entry.dt)) return true
  }
  return entries.length > 1 && metricsRepeat(entries)
}

function runsForward(dt: readonly number[]): boolean {
  for (let k = 1; k < dt.length; k += 1) {
    if (!((dt[k] ?? 0) > (dt[k - 1] ?? 0))) return false
  }
  return true
}

const FEW = 8

function metricsRepeat(entries: readonly Entry<unknown>[]): boolean {
  if (entries.length > FEW) return new Set(entries.map((e) => e.metric)).size < entries.length
  for (let i = 1; i < entries.length; i += 1) {
    for (let j = 0; j < i; j += 1) if (entries[i]?.metric === entries[j]?.metric) return true
  }
  return false
}

/** Notes the time of a sample; true when the record already had one of that series and time. */
export function repeats(seen: Map<Series, Set<number>>, series: Series, tsMs: number): boolean {
  const times = seen.get(series)
  if (times === undefined) {
    seen.set(series, new Set([tsMs]))
    return false
  }
  if (times.has(tsMs)) return true
  times.add(tsMs)
  return false
}
