/**
 * Reads the values of telemetry.v1, whoever wrote them: frames of today's schema directly, those
 * of other versions through avsc, as today's schema would have spelled them.
 */
import type { AvroDecoder, AvroEncoder, Decoded } from './avro-codec.ts'
import type { Telemetry } from './telemetry.ts'
import { TelemetryReader } from './telemetry-reader.ts'

const FRAME_BYTES = 5

export type FrameFault = Exclude<Decoded<Telemetry>, { kind: 'value' }>

export class TelemetryFrames {
  /** What the last frame held, where read() found no fault. */
  readonly telemetry = new TelemetryReader()
  readonly #decoder: AvroDecoder<Telemetry>
  readonly #encoder: AvroEncoder<Telemetry>

  constructor(decoder: AvroDecoder<Telemetry>, encoder: AvroEncoder<Telemetry>) {
    this.#decoder = decoder
    this.#encoder = encoder
  }

  /** Answers why the frame bytes[from, to) cannot be read, if so. */
  read(bytes: Buffer, from = 0, to = bytes.length): FrameFault | undefined {
    const { schemaId } = this.#encoder
    if (to - from < FRAME_BYTES || !isFramedWith(bytes, from, schemaId)) {
      return this.#readOther(bytes.subarray(from, to))
    }
    return this.#readBody(bytes, from, to, schemaId)
  }

  #readOther(frame: Buffer): FrameFault | undefined {
    const decoded = this.#decoder.decode(frame)
    if (decoded.kind !== 'value') return decoded
    const spelled = this.#encoder.encode(decoded.value)
    return this.#readBody(spelled, 0, spelled.length, decoded.schemaId)
  }

  // oxlint-disable-next-line max-params -- once per record
  #readBody(bytes: Buffer, from: number, to: number, schemaId: number): FrameFault | undefined {
    const detail = this.telemetry.read(bytes, from + FRAME_BYTES, to)
    return detail === undefined ? undefined : { kind: 'decode_failed', schemaId, detail }
  }
}

/** Magic byte 0, and the schema's id as four bytes, the highest one first. */
function isFramedWith(bytes: Buffer, from: number, schemaId: number): boolean {
  return (
    bytes[from] === 0 &&
    bytes[from + 1] === schemaId >>> 24 &&
    bytes[from + 2] === ((schemaId >>> 16) & 0xff) &&
    bytes[from + 3] === ((schemaId >>> 8) & 0xff) &&
    bytes[from + 4] === (schemaId & 0xff)
  )
}
