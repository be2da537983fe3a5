/**
 * Cuts a byte stream into MQTT packets, pulled one at a time so that a busy receiver can stop in
 * the middle of what has arrived. A packet's length is judged from its first bytes, before any of
 * it is kept, and a packet in pieces is gathered in a buffer that grows with what really arrived:
 * announcing much and sending little holds little, and a byte at a time costs linear work.
 */
import type { Malformed } from './packet.ts'
import { type Decoded, decodePacket } from './packet-decoder.ts'

export type TooLarge = Readonly<{ kind: 'too_large'; bytes: number }>
/** `undefined`: the next packet has not arrived whole. After malformed or too_large, stop. */
export type Parsed = Decoded | TooLarge | undefined

const EMPTY = Buffer.alloc(0)
const GATHER_BYTES_MIN = 256

export class PacketParser {
  /** The longest packet that is taken, fixed header included. May be raised after CONNECT. */
  packetBytesMax: number
  #bytes: Buffer = EMPTY
  #at = 0
  #end = 0
  /** True when #bytes is our own buffer with room to grow, false when it is a received chunk. */
  #gathering = false

  constructor(packetBytesMax: number) {
    this.packetBytesMax = packetBytesMax
  }

  /** Bytes that were received and not yet handed on. */
  get waitingBytes(): number {
    return this.#end - this.#at
  }

  /** Takes what the socket received. The chunk must not be changed afterwards. */
  push(chunk: Buffer): void {
    if (this.#at === this.#end) {
      this.#bytes = chunk
      this.#at = 0
      this.#end = chunk.length
      this.#gathering = false
      return
    }
    this.#makeRoom(chunk.length)
    chunk.copy(this.#bytes, this.#end)
    this.#end += chunk.length
  }

  /**
   * The next packet, if it is here whole. §2.2: a type byte, then the remaining length in one to
   * four bytes of seven bits each, least significant first.
   */
  next(): Parsed {
    const bytes = this.#bytes
    let at = this.#at + 1
    let length = 0
    let shift = 0
    for (;;) {
      if (at >= this.#end) return undefined
      const digit = bytes[at++] ?? 0
      length |= (digit & 0x7f) << shift
      if (digit < 0x80) break
      shift += 7
      if (shift > 21) return REMAINING_LENGTH_TOO_LONG
    }
    const packetEnd = at + length
    const packetBytes = packetEnd - this.#at
    if (packetBytes > this.packetBytesMax) return { kind: 'too_large', bytes: packetBytes }
    if (packetEnd > this.#end) return undefined
    const packet = decodePacket(bytes[this.#at] ?? 0, bytes, at, packetEnd)
    this.#at = packetEnd
    if (this.#at === this.#end) this.#forget()
    return packet
  }

  /** Payloads already handed out stay valid: their buffer is left to them, never reused. */
  #forget(): void {
    this.#bytes = EMPTY
    this.#at = 0
    this.#end = 0
    this.#gathering = false
  }

  #makeRoom(added: number): void {
    const kept = this.#end - this.#at
    if (this.#gathering && this.#end + added <= this.#bytes.length) return
    const size = Math.max(GATHER_BYTES_MIN, 2 * kept, kept + added)
    const bytes = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(bytes, 0, this.#at, this.#end)
    this.#bytes = bytes
    this.#at = 0
    this.#end = kept
    this.#gathering = true
  }
}

const REMAINING_LENGTH_TOO_LONG: Malformed = {
  kind: 'malformed',
  reason: 'a remaining length of more than four bytes §2.2.3',
}
