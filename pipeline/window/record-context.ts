/** What the samples of one record are judged by, all of it known before the first of them. */
import type { DeadLetterReason } from '../../schemas/dead-letter.ts'
import { clampMs, newestAcceptedMs, oldestAcceptedMs } from '../../schemas/telemetry.ts'
import type { TelemetryReader } from '../../schemas/telemetry-reader.ts'
import { FLAG_RESTAMPED, FLAG_UNSTAMPED } from './raw-rows.ts'
import type { Series } from './series.ts'

/** Samples of a record that are not stored; its other samples are. */
export type RefusedSamples = { reason: DeadLetterReason; indexes: number[] }

/** Used again for the next record: most of it are numbers that would be garbage otherwise. */
export class RecordContext {
  offset = 0
  appendMs = 0
  clampMs = 0
  replay = false
  flags = 0
  shiftMs = 0
  newestTsMs = 0
  /** Between these a sample's time is accepted. */
  oldestMs = 0
  newestMs = 0
  /** Times by series, for records in which a (series, time) may repeat. */
  seen: Map<Series, Set<number>> | undefined
  refused: RefusedSamples | undefined

  /** `series` are those of the record's entries. */
  // oxlint-disable-next-line max-params -- once per record: an options object would be garbage
  begin(
    record: TelemetryReader,
    series: readonly Series[],
    offset: number,
    appendMs: number,
    replay: boolean,
    acceptedAgeMs: number,
  ): void {
    this.offset = offset
    this.appendMs = appendMs
    this.replay = replay
    this.clampMs = clampMs(record.recvTs, appendMs)
    this.flags = (record.stamped ? 0 : FLAG_UNSTAMPED) | (record.shiftMs === 0 ? 0 : FLAG_RESTAMPED)
    this.shiftMs = record.shiftMs
    this.oldestMs = oldestAcceptedMs(appendMs, acceptedAgeMs)
    this.newestMs = newestAcceptedMs(this.clampMs)
    this.newestTsMs = record.isTick ? this.clampMs : 0
    this.seen = mayRepeat(record, series) ? new Map() : undefined
    this.refused = undefined
  }
}

/** Why a sample that is not finite, or not between the context's bounds, is not stored. */
export function refusalOf(context: RecordContext, tsMs: number, value: number): DeadLetterReason {
  if (!Number.isFinite(value)) return 'value_not_finite'
  if (!Number.isSafeInteger(tsMs)) return 'time_invalid'
  return tsMs > context.newestMs ? 'clock_skew' : 'too_late'
}

/**
 * Whether a record may hold one (series, time) twice. Of such repeats only the first may be
 * stored: both raw rows would carry the same offset, and the table could keep either of them.
 * False only when every series occurs once and runs forward in time, which is the usual record.
 */
function mayRepeat(record: TelemetryReader, series: readonly Series[]): boolean {
  const { entryCount, sampleEnd, tsMs } = record
  let from = 0
  for (let entry = 0; entry < entryCount; entry += 1) {
    const to = sampleEnd[entry] ?? 0
    for (let k = from + 1; k < to; k += 1) {
      if (!((tsMs[k] ?? 0) > (tsMs[k - 1] ?? 0))) return true
    }
    from = to
  }
  return entryCount > 1 && seriesRepeat(series, entryCount)
}

const FEW = 8

function seriesRepeat(series: readonly Series[], count: number): boolean {
  if (count > FEW) return new Set(series.slice(0, count)).size < count
  for (let i = 1; i < count; i += 1) {
    for (let j = 0; j < i; j += 1) if (series[i] === series[j]) return true
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
