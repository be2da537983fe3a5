/** The packets that a client sends in MQTT 3.1.1, for tests and load generators. */
import { PACKET_TYPE, type Qos } from '../mqtt/packet.ts'
import { remainingLength } from '../mqtt/packet-writer.ts'

export type ConnectFields = Readonly<{
  clientId?: string
  clean?: boolean
  keepAliveS?: number
  username?: string
  password?: string | Buffer
  will?: Readonly<{ topic: string; payload: string; qos?: Qos }>
  protocol?: string
  level?: number
}>

/** §3.1 */
export function connectPacket(fields: ConnectFields): Buffer {
  const { clean = true, keepAliveS = 60, username, password, will } = fields
  const flags =
    (clean ? 2 : 0) |
    (will === undefined ? 0 : 4 | ((will.qos ?? 0) << 3)) |
    (password === undefined ? 0 : 0x40) |
    (username === undefined ? 0 : 0x80)
  return packet(
    PACKET_TYPE.connect << 4,
    field(fields.protocol ?? 'MQTT'),
    Buffer.from([fields.level ?? 4, flags, keepAliveS >> 8, keepAliveS & 0xff]),
    field(fields.clientId ?? ''),
    ...(will === undefined ? [] : [field(will.topic), field(will.payload)]),
    ...(username === undefined ? [] : [field(username)]),
    ...(password === undefined ? [] : [field(password)]),
  )
}

export type PublishFields = Readonly<{
  topic?: string
  payload: string | Buffer
  qos?: Qos
  packetId?: number
  dup?: boolean
  retain?: boolean
}>

/** §3.3 */
export function publishPacket(fields: PublishFields): Buffer {
  const { topic = 't', payload, qos = 1, packetId = 1, dup = false, retain = false } = fields
  const flags = (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  return packet(
    (PACKET_TYPE.publish << 4) | flags,
    field(topic),
    qos === 0 ? Buffer.alloc(0) : uint16(packetId),
    Buffer.from(payload),
  )
}

export const pubrelPacket = (packetId: number): Buffer =>
  packet((PACKET_TYPE.pubrel << 4) | 2, uint16(packetId))

/** §3.8 */
export function subscribePacket(packetId: number, filters: readonly string[]): Buffer {
  const pairs = filters.flatMap((filter) => [field(filter), Buffer.from([0])])
  return packet((PACKET_TYPE.subscribe << 4) | 2, uint16(packetId), ...pairs)
}

/** §3.10 */
export function unsubscribePacket(packetId: number, filters: readonly string[]): Buffer {
  return packet((PACKET_TYPE.unsubscribe << 4) | 2, uint16(packetId), ...filters.map(field))
}

export const PINGREQ: Buffer = Buffer.from([PACKET_TYPE.pingreq << 4, 0])
export const DISCONNECT: Buffer = Buffer.from([PACKET_TYPE.disconnect << 4, 0])

/** A packet from its first byte and the parts of its body. */
export function packet(firstByte: number, ...body: readonly Buffer[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([firstByte, ...remainingLength(length)]), ...body])
}

/** Text or binary data with its two-byte length. §1.5.3 */
export function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint16(bytes.length), bytes])
}

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
