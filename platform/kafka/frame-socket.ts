/**
 * A TCP connection that hands on whole frames of the Kafka protocol (a length, then as many bytes),
 * one `data` event each. The system writes the bytes of a frame where they stay: nothing is
 * gathered in chunks and copied together, which for large fetches costs as much as reading them.
 */
import { connect, type Socket } from 'node:net'

const LENGTH_BYTES = 4
/** Room for small frames, several at a time. */
const SCRATCH_BYTES = 64 * 1024
/** No answer is as long: bytes that say so are no length. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024

export function connectFramed(
  where: Readonly<{ host: string; port: number }>,
  onConnect: () => void,
): Socket {
  const frames = new FrameReader((frame) => socket.emit('data', frame))
  const socket = connect(
    {
      ...where,
      onread: {
        buffer: () => frames.room(),
        callback: (bytes) => {
          const problem = frames.took(bytes)
          if (problem !== undefined) socket.destroy(new Error(problem))
          return true
        },
      },
    },
    onConnect,
  )
  return socket
}

/** Cuts a stream into frames, whatever pieces it comes in. */
export class FrameReader {
  readonly #whole: (frame: Buffer) => void
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  /** Bytes of `#scratch` that belong to no finished frame. */
  #scratchUsed = 0
  /** A frame whose length is known and that is too long for the scratch. */
  #frame: Buffer | undefined
  #frameUsed = 0

  constructor(whole: (frame: Buffer) => void) {
    this.#whole = whole
  }

  /** Where the next bytes go. */
  room(): Buffer {
    if (this.#frame !== undefined) return this.#frame.subarray(this.#frameUsed)
    return this.#scratch.subarray(this.#scratchUsed)
  }

  /** So many bytes have been written to room(). Answers what is wrong with them, if anything is. */
  took(bytes: number): string | undefined {
    const frame = this.#frame
    if (frame === undefined) return this.#cutScratch(this.#scratchUsed + bytes)
    this.#frameUsed += bytes
    if (this.#frameUsed === frame.length) {
      this.#frame = undefined
      this.#whole(frame)
    }
    return undefined
  }

  #cutScratch(used: number): string | undefined {
    let at = 0
    while (used - at >= LENGTH_BYTES) {
      const length = this.#scratch.readInt32BE(at)
      if (length < 0 || length > FRAME_BYTES_MAX) return `a frame of ${length} bytes`
      const end = at + LENGTH_BYTES + length
      if (end <= used) {
        this.#whole(Buffer.from(this.#scratch.subarray(at, end)))
        at = end
        continue
      }
      if (LENGTH_BYTES + length > SCRATCH_BYTES) {
        this.#beginFrame(this.#scratch.subarray(at, used), LENGTH_BYTES + length)
        at = used
      }
      break
    }
    this.#scratch.copyWithin(0, at, used)
    this.#scratchUsed = used - at
    return undefined
  }

  #beginFrame(start: Buffer, length: number): void {
    this.#frame = Buffer.allocUnsafeSlow(length)
    this.#frameUsed = start.copy(this.#frame)
  }
}
