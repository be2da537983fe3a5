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

  /** Answers why the frame cannot be read, if so. */
  read(frame: Buffer): FrameFault | undefined {
    const { schemaId } = this.#encoder
    if (frame.length < FRAME_BYTES || frame[0] !== 0 || frame.readUInt32BE(1) !== schemaId) {
      return this.#readOther(frame)
    }
    return this.#readBody(frame, schemaId)
  }

  #readOther(frame: Buffer): FrameFault | undefined {
    const decoded = this.#decoder.decode(frame)
    if (decoded.kind !== 'value') return decoded
    return this.#readBody(this.#encoder.encode(decoded.value), decoded.schemaId)
  }

  #readBody(frame: Buffer, schemaId: number): FrameFault | undefined {
    const detail = this.telemetry.read(frame, FRAME_BYTES)
    return detail === undefined ? undefined : { kind: 'decode_failed', schemaId, detail }
  }
}
