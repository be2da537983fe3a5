/**
 * Reads the body of one whole MQTT 3.1.1 packet. Framing (where packets start and end) is
 * packet-parser.ts; this file knows only what stands inside. Nothing here throws on any input:
 * whatever breaks the standard comes back as `malformed` with the clause it breaks.
 */
import { isUtf8 } from 'node:buffer'
import {
  type ClientPacket,
  type ConnectPacket,
  type Malformed,
  PACKET_TYPE,
  type Qos,
  type Subscription,
  type Will,
} from './packet.ts'

export type Decoded = ClientPacket | Malformed

/** `firstByte` is type and flags; the body is bytes[from, to). */
export function decodePacket(firstByte: number, bytes: Buffer, from: number, to: number): Decoded {
  const type = firstByte >> 4
  if (type === PACKET_TYPE.publish) return decodePublish(firstByte, bytes, from, to)

  // [MQTT-2.2.2-2]: every other type has fixed flags, 0010 for PUBREL, SUBSCRIBE, UNSUBSCRIBE.
  const flags = type === PACKET_TYPE.pubrel || type === 8 || type === 10 ? 2 : 0
  if ((firstByte & 0x0f) !== flags) return malformed('reserved flags are set [MQTT-2.2.2-2]')
  const body = new BodyReader(bytes, from, to)
  switch (type) {
    case PACKET_TYPE.connect:
      return decodeConnect(body)
    case PACKET_TYPE.puback:
      return decodeAck('puback', body)
    case PACKET_TYPE.pubrec:
      return decodeAck('pubrec', body)
    case PACKET_TYPE.pubrel:
      return decodeAck('pubrel', body)
    case PACKET_TYPE.pubcomp:
      return decodeAck('pubcomp', body)
    case PACKET_TYPE.subscribe:
      return decodeSubscribe(body)
    case PACKET_TYPE.unsubscribe:
      return decodeUnsubscribe(body)
    case PACKET_TYPE.pingreq:
      return body.left === 0 ? { kind: 'pingreq' } : malformed('PINGREQ has a body §3.12')
    case PACKET_TYPE.disconnect:
      return body.left === 0 ? { kind: 'disconnect' } : malformed('DISCONNECT has a body §3.14')
    default:
      return malformed('a packet type that no client sends §2.2.1')
  }
}

/** The one packet that comes by the million: decoded without a reader object. §3.3 */
function decodePublish(firstByte: number, bytes: Buffer, from: number, to: number): Decoded {
  const qos = (firstByte >> 1) & 3
  if (qos === 3) return malformed('QoS 3 [MQTT-3.3.1-4]')
  if (qos === 0 && (firstByte & 8) !== 0) return malformed('DUP at QoS 0 [MQTT-3.3.1-2]')
  if (from + 2 > to) return malformed('PUBLISH ends before its topic §3.3.2.1')
  const topicAt = from + 2
  const topicEnd = topicAt + bytes.readUInt16BE(from)
  const payloadAt = qos === 0 ? topicEnd : topicEnd + 2
  if (payloadAt > to) return malformed('PUBLISH ends inside its header §3.3.2')
  const packetId = qos === 0 ? 0 : bytes.readUInt16BE(topicEnd)
  if (qos !== 0 && packetId === 0) return malformed('packet identifier 0 [MQTT-2.3.1-1]')
  const topic = topicName(bytes, topicAt, topicEnd)
  if (topic === undefined) return malformed('not a topic name [MQTT-1.5.3, 3.3.2-2, 4.7.3-1]')
  return {
    kind: 'publish',
    topic,
    // The two checks above leave 0, 1 and 2.
    qos: qos as Qos,
    dup: (firstByte & 8) !== 0,
    retain: (firstByte & 1) !== 0,
    packetId,
    payload: bytes.subarray(payloadAt, to),
  }
}

const SHORT_TOPIC = 't'
const SHORT_TOPIC_CODE = SHORT_TOPIC.charCodeAt(0)

function topicName(bytes: Buffer, from: number, to: number): string | undefined {
  if (to - from === 1 && bytes[from] === SHORT_TOPIC_CODE) return SHORT_TOPIC
  const topic = utf8(bytes, from, to)
  if (topic === undefined || topic === '' || topic.includes('+') || topic.includes('#')) {
    return undefined
  }
  return topic
}

/** Well-formed UTF-8 without U+0000, or undefined. [MQTT-1.5.3-1, 1.5.3-2] */
function utf8(bytes: Buffer, from: number, to: number): string | undefined {
  const part = bytes.subarray(from, to)
  if (part.includes(0) || !isUtf8(part)) return undefined
  return part.toString('utf8')
}

/** §3.1. Returns connect_unsupported as soon as the level is known: what follows may differ. */
function decodeConnect(body: BodyReader): Decoded {
  const protocol = body.text()
  const level = body.byte()
  if (protocol === 'MQIsdp' && level !== undefined) return { kind: 'connect_unsupported', level }
  if (protocol !== 'MQTT') return malformed('the protocol name is not MQTT [MQTT-3.1.2-1]')
  if (level === undefined) return malformed('CONNECT ends before its level §3.1.2.2')
  if (level !== 4) return { kind: 'connect_unsupported', level }

  const flags = body.byte()
  const keepAliveS = body.uint16()
  if (flags === undefined || keepAliveS === undefined)
    return malformed('CONNECT is cut short §3.1.2')
  const broken = brokenConnectFlags(flags)
  if (broken !== undefined) return malformed(broken)

  const clientId = body.text()
  const will = (flags & 4) === 0 ? 'none' : decodeWill(flags, body)
  const username = (flags & 0x80) === 0 ? 'none' : { value: body.text() }
  const password = (flags & 0x40) === 0 ? 'none' : { value: body.binary() }
  if (
    clientId === undefined ||
    will === undefined ||
    (username !== 'none' && username.value === undefined) ||
    (password !== 'none' && password.value === undefined) ||
    body.left !== 0
  ) {
    return malformed('the CONNECT payload does not match its flags [MQTT-3.1.3-1]')
  }
  const packet: ConnectPacket = {
    kind: 'connect',
    clientId,
    cleanSession: (flags & 2) !== 0,
    keepAliveS,
    will: will === 'none' ? undefined : will,
    username: username === 'none' ? undefined : username.value,
    password: password === 'none' ? undefined : password.value,
  }
  return packet
}

function brokenConnectFlags(flags: number): string | undefined {
  const willQos = (flags >> 3) & 3
  if ((flags & 1) !== 0) return 'the reserved connect flag is set [MQTT-3.1.2-3]'
  if ((flags & 4) === 0 && (flags & 0x38) !== 0) return 'will flags without a will [MQTT-3.1.2-13]'
  if (willQos === 3) return 'will QoS 3 [MQTT-3.1.2-14]'
  if ((flags & 0xc0) === 0x40) return 'a password without a username [MQTT-3.1.2-22]'
  return undefined
}

function decodeWill(flags: number, body: BodyReader): Will | undefined {
  const topic = body.topic()
  const payload = body.binary()
  if (topic === undefined || payload === undefined) return undefined
  // The CONNECT packet is dropped after the handshake, the will stays: it needs bytes of its own.
  // willQos 3 was refused before.
  const qos = ((flags >> 3) & 3) as Qos
  return { topic, payload: Buffer.from(payload), qos, retain: (flags & 0x20) !== 0 }
}

function decodeAck(kind: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', body: BodyReader): Decoded {
  const packetId = body.uint16()
  if (packetId === undefined || body.left !== 0) return malformed(`${kind} is not 2 bytes §3.4`)
  if (packetId === 0) return malformed('packet identifier 0 [MQTT-2.3.1-1]')
  return { kind, packetId }
}

/** §3.8: an identifier, then at least one pair of filter and requested QoS. */
function decodeSubscribe(body: BodyReader): Decoded {
  const packetId = body.uint16()
  if (packetId === undefined || packetId === 0) return malformed('no packet identifier [2.3.1-1]')
  const filters: Subscription[] = []
  while (body.left > 0) {
    const filter = body.text()
    const qos = body.byte()
    if (filter === undefined || filter === '' || qos === undefined) {
      return malformed('SUBSCRIBE is cut short or has a bad filter [MQTT-3.8.3-1]')
    }
    if (qos > 2) return malformed('a requested QoS above 2 [MQTT-3-8.3-4]')
    filters.push({ filter, qos: qos as Qos })
  }
  if (filters.length === 0) return malformed('SUBSCRIBE without a filter [MQTT-3.8.3-3]')
  return { kind: 'subscribe', packetId, filters }
}

/** §3.10 */
function decodeUnsubscribe(body: BodyReader): Decoded {
  const packetId = body.uint16()
  if (packetId === undefined || packetId === 0) return malformed('no packet identifier [2.3.1-1]')
  const filters: string[] = []
  while (body.left > 0) {
    const filter = body.text()
    if (filter === undefined || filter === '') return malformed('a bad filter [MQTT-3.10.3-1]')
    filters.push(filter)
  }
  if (filters.length === 0) return malformed('UNSUBSCRIBE without a filter [MQTT-3.10.3-2]')
  return { kind: 'unsubscribe', packetId, filters }
}

const malformed = (reason: string): Malformed => ({ kind: 'malformed', reason })

/** Reads fields from the front of a body; every field is undefined once the body is too short. */
class BodyReader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, from: number, to: number) {
    this.#bytes = bytes
    this.#at = from
    this.#end = to
  }

  get left(): number {
    return this.#end - this.#at
  }

  byte(): number | undefined {
    return this.left < 1 ? undefined : this.#bytes[this.#at++]
  }

  uint16(): number | undefined {
    if (this.left < 2) return undefined
    const value = this.#bytes.readUInt16BE(this.#at)
    this.#at += 2
    return value
  }

  binary(): Buffer | undefined {
    const length = this.uint16()
    if (length === undefined || this.left < length) return undefined
    const part = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return part
  }

  text(): string | undefined {
    const part = this.binary()
    return part === undefined ? undefined : utf8(part, 0, part.length)
  }

  topic(): string | undefined {
    const part = this.binary()
    return part === undefined ? undefined : topicName(part, 0, part.length)
  }
}
