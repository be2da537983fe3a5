/** The limits of the MQTT listener, in one place; options set some of them. */
export type MqttLimits = Readonly<{
  connectionsMax: number
  /** The longest CONNECT packet: nothing larger is gathered for a stranger. */
  connectBytesMax: number
  /**
   * The longest packet of a known device. It is larger than the payload limit, so that a payload
   * somewhat over the limit becomes a dead letter with its bytes; beyond it the connection is
   * closed before the packet is gathered.
   */
  packetBytesMax: number
  clientIdBytesMax: number
  /** PUBLISH packets read and not yet acknowledged, per connection. */
  inFlightMax: number
  /**
   * QoS 2 messages received and not released, per session. Beyond it the connection is closed: not
   * reading on would never see the PUBREL packets that stand behind.
   */
  unreleasedMax: number
  connectTimeoutMs: number
  /** How long a closed connection may take to take its last bytes. */
  lingerMs: number
  /** Sessions kept for devices that are away (clean session 0). The oldest gives way. */
  sessionsMax: number
}>

export const MQTT_LIMITS: MqttLimits = {
  connectionsMax: 100_000,
  connectBytesMax: 16_384,
  packetBytesMax: 262_144,
  clientIdBytesMax: 256,
  inFlightMax: 100,
  unreleasedMax: 10_000,
  connectTimeoutMs: 5000,
  lingerMs: 2000,
  sessionsMax: 100_000,
}
