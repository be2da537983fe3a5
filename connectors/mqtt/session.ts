/**
 * What MQTT calls session state (§3.1.2.4), as a plain value: it survives a structured clone, so it
 * can be written down and handed to another process. Changing it goes through the functions here.
 */
export type MqttSession = {
  readonly clientId: string
  /** True when the session ends with its connection. */
  readonly clean: boolean
  /** QoS 2 packet identifiers that are stored and not yet released. §4.3.3 */
  readonly awaitingRelease: Set<number>
  /**
   * The newest packet identifiers and the stamps their messages got, oldest first. A message that
   * comes again on a later connection keeps its stamp, and with it its identity: stored twice, it
   * still counts once. A clean session has no later connection and keeps none.
   */
  readonly recent: { packetId: number; stampMs: number }[]
}

/** Twice what may be in flight: what we hold unacknowledged, and acks that never arrived. */
export const RECENT_STAMPS_MAX = 200

export function newSession(clientId: string, clean: boolean): MqttSession {
  return { clientId, clean, awaitingRelease: new Set(), recent: [] }
}

export function rememberStamp(session: MqttSession, packetId: number, stampMs: number): void {
  if (session.clean) return
  session.recent.push({ packetId, stampMs })
  if (session.recent.length > 2 * RECENT_STAMPS_MAX) session.recent.splice(0, RECENT_STAMPS_MAX)
}

/** The stamp of the message that used this identifier last, for a PUBLISH marked DUP. */
export function stampOf(session: MqttSession, packetId: number): number | undefined {
  return session.recent.findLast((entry) => entry.packetId === packetId)?.stampMs
}
