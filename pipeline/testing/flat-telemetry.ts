/** Telemetry as the fold takes it, from objects that tests can write by hand. */
import { createAvroEncoder } from '../../schemas/avro-codec.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../../schemas/telemetry.ts'
import { TelemetryReader } from '../../schemas/telemetry-reader.ts'

const FRAME_BYTES = 5
const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1)
const reader = new TelemetryReader()

/** Good until the next call. */
export function flatOf(record: Telemetry): TelemetryReader {
  const fault = reader.read(encoder.encode(record), FRAME_BYTES)
  if (fault !== undefined) throw new Error(fault)
  return reader
}
