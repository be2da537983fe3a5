/** What the samples of one record are judged by, all of it known before the first of them. */
import type { DeadLetterReason } from '../../schemas/dead-letter.ts'
import { clampMs, type Telemetry, timeRefusal } from '../../schemas/telemetry.ts'
import { hasRepeats } from './record-repeats.ts'
import { FLAG_UNSTAMPED } from './rollup-row.ts'
import type { Series } from './series.ts'

/** Samples of a record that are not stored; its other samples are. */
export type RefusedSamples = { reason: DeadLetterReason; indexes: number[] }

export type RecordContext = {
  offset: number
  appendMs: number
  clampMs: number
  replay: boolean
  flags: number
  /** Times by series, for records in which a (series, time) may repeat. */
  seen: Map<Series, Set<number>> | undefined
  sampleIndex: number
  newestTsMs: number
  refused: RefusedSamples | undefined
}

export function recordContext(
  record: Telemetry,
  { offset, appendMs, replay }: Pick<RecordContext, 'offset' | 'appendMs' | 'replay'>,
): RecordContext {
  const clamp = clampMs(record.recvTs, appendMs)
  return {
    offset,
    appendMs,
    clampMs: clamp,
    replay,
    flags: record.stamped ? 0 : FLAG_UNSTAMPED,
    seen: hasRepeats(record) ? new Map() : undefined,
    sampleIndex: 0,
    newestTsMs: record.tenant === '' && record.device === '' ? clamp : 0,
    refused: undefined,
  }
}

/** Why a sample of the record must not be stored, if so. */
export function refusalOf(
  context: RecordContext,
  tsMs: number,
  value: number,
  acceptedAgeMs: number,
): DeadLetterReason | undefined {
  if (!Number.isFinite(value)) return 'value_not_finite'
  if (!Number.isSafeInteger(tsMs)) return 'time_invalid'
  return timeRefusal(tsMs, context, acceptedAgeMs)
}
