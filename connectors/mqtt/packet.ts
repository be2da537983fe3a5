/**
 * MQTT 3.1.1 control packets as values: what a client may send, as the decoder hands it on.
 * Clause numbers like [MQTT-3.1.0-2] are those of the OASIS standard of 29 October 2014.
 */
export type Qos = 0 | 1 | 2

export type Will = Readonly<{ topic: string; payload: Buffer; qos: Qos; retain: boolean }>

export type ConnectPacket = Readonly<{
  kind: 'connect'
  clientId: string
  cleanSession: boolean
  keepAliveS: number
  username: string | undefined
  /** Binary data by the standard (§3.1.3.5); a view into what was received. */
  password: Buffer | undefined
  will: Will | undefined
}>

export type PublishPacket = Readonly<{
  kind: 'publish'
  topic: string
  qos: Qos
  dup: boolean
  retain: boolean
  /** 0 for QoS 0, which carries none. */
  packetId: number
  /** A view into what was received: copy it to keep it beyond the call. */
  payload: Buffer
}>

export type ClientPacket =
  | ConnectPacket
  /** A CONNECT of another protocol level; nothing after the level was read. §3.1.2.2 */
  | Readonly<{ kind: 'connect_unsupported'; level: number }>
  | PublishPacket
  | Readonly<{ kind: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'; packetId: number }>
  | Readonly<{ kind: 'subscribe'; packetId: number; filters: readonly Subscription[] }>
  | Readonly<{ kind: 'unsubscribe'; packetId: number; filters: readonly string[] }>
  | Readonly<{ kind: 'pingreq' }>
  | Readonly<{ kind: 'disconnect' }>

export type Subscription = Readonly<{ filter: string; qos: Qos }>

/** Packet types, the high four bits of the first byte. §2.2.1 */
export const PACKET_TYPE = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
} as const

/** CONNACK return codes. §3.2.2.3, table 3.1 */
export const CONNACK = {
  accepted: 0,
  protocolUnacceptable: 1,
  identifierRejected: 2,
  unavailable: 3,
  badCredentials: 4,
  notAuthorized: 5,
} as const
export type ConnackCode = (typeof CONNACK)[keyof typeof CONNACK]

/** SUBACK return code of a filter that is not granted. §3.9.3 */
export const SUBACK_FAILURE = 0x80

/** The bytes break the standard; [MQTT-4.8.0-1] says to close the connection. */
export type Malformed = Readonly<{ kind: 'malformed'; reason: string }>
