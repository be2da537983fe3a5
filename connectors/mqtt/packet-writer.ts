/** The packets that a server sends in MQTT 3.1.1. */
import { type ConnackCode, PACKET_TYPE, SUBACK_FAILURE } from './packet.ts'

/** §3.2. The session-present flag is 0 with every refusal [MQTT-3.2.2-4]. */
export function connack(code: ConnackCode, sessionPresent = false): Buffer {
  return Buffer.from([PACKET_TYPE.connack << 4, 2, sessionPresent && code === 0 ? 1 : 0, code])
}

export const PINGRESP: Buffer = Buffer.from([PACKET_TYPE.pingresp << 4, 0])

/** §3.9: each filter's answer, in the order of the SUBSCRIBE. Nothing is granted yet. */
export function subackRefusing(packetId: number, filters: number): Buffer {
  const codes = Array.from({ length: filters }, () => SUBACK_FAILURE)
  return Buffer.concat([
    Buffer.from([PACKET_TYPE.suback << 4, ...remainingLength(2 + filters)]),
    Buffer.from([packetId >> 8, packetId & 0xff, ...codes]),
  ])
}

/** §3.11 */
export const unsuback = (packetId: number): Buffer =>
  Buffer.from([PACKET_TYPE.unsuback << 4, 2, packetId >> 8, packetId & 0xff])

export type AckKind = 'puback' | 'pubrec' | 'pubcomp'
export const ACK_BYTES = 4

/** First bytes of the four-byte acknowledgements. §3.4, §3.5, §3.7 */
const ACK_FIRST_BYTE: Readonly<Record<AckKind, number>> = {
  puback: PACKET_TYPE.puback << 4,
  pubrec: PACKET_TYPE.pubrec << 4,
  pubcomp: PACKET_TYPE.pubcomp << 4,
}

/** Writes one acknowledgement of ACK_BYTES, so that a run of them can leave as one buffer. */
export function writeAck(bytes: Buffer, at: number, kind: AckKind, packetId: number): void {
  bytes[at] = ACK_FIRST_BYTE[kind]
  bytes[at + 1] = 2
  bytes[at + 2] = packetId >> 8
  bytes[at + 3] = packetId & 0xff
}

/** §2.2.3 */
export function remainingLength(length: number): number[] {
  const digits: number[] = []
  let rest = length
  do {
    const digit = rest & 0x7f
    rest >>= 7
    digits.push(rest > 0 ? digit | 0x80 : digit)
  } while (rest > 0)
  return digits
}
