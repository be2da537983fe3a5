/**
 * What one record of the log must have brought into the raw table, judged again from its bytes:
 * by the rules that are public (schemas/telemetry.ts), not by the pipeline's own code.
 */
import type { TelemetryReader } from '../../../schemas/telemetry-reader.ts'
import { clampMs, timeRefusal } from '../../../schemas/telemetry.ts'
import { deviceKey, partitionOf } from '../../../schemas/topics.ts'

export type RecordPlace = Readonly<{ partition: number; partitions: number; appendMs: number }>

/** Indexes of the samples of a record that may not be stored. */
export function refusedSamples(
  record: TelemetryReader,
  { partition, partitions, appendMs }: RecordPlace,
  acceptedAgeMs: number,
): ReadonlySet<number> {
  const key = Buffer.from(deviceKey(record.tenant, record.device))
  if (partitionOf(key, partitions) !== partition) {
    return new Set(Array.from({ length: record.sampleCount }, (_, k) => k))
  }
  const clamp = clampMs(record.recvTs, appendMs)
  let refused: Set<number> | undefined
  for (let k = 0; k < record.sampleCount; k += 1) {
    const tsMs = record.tsMs[k] ?? NaN
    const isSound = Number.isFinite(record.values[k]) && Number.isSafeInteger(tsMs)
    if (isSound && timeRefusal(tsMs, { clampMs: clamp, appendMs }, acceptedAgeMs) === undefined) {
      continue
    }
    refused ??= new Set()
    refused.add(k)
  }
  return refused ?? NONE
}

const NONE: ReadonlySet<number> = new Set()
