/**
 * What MQTT calls session state (§3.1.2.4), as a plain value: it survives a structured clone, so it
 * can be written down and handed to another process. Changing it goes through the functions here.
 */
import { crc32 } from 'node:zlib'

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
   *
   * DUP says that the device sent this before, not that it arrived: an identifier may belong to an
   * older message that is long acknowledged (some clients use few of them). So the bytes are
   * compared too, by their sum. With the same identifier and bytes it is taken for the older one.
   */
  readonly recent: { packetId: number; payloadSum: number; stampMs: number }[]
}

type Sent = Readonly<{ packetId: number; payload: Uint8Array }>

/** Twice what may be in flight: what we hold unacknowledged, and acks that never arrived. */
const RECENT_STAMPS_MAX = 200

export function newSession(clientId: string, clean: boolean): MqttSession {
  return { clientId, clean, awaitingRelease: new Set(), recent: [] }
}

export function rememberStamp(session: MqttSession, sent: Sent, stampMs: number): void {
  if (session.clean) return
  session.recent.push({ packetId: sent.packetId, payloadSum: crc32(sent.payload), stampMs })
  if (session.recent.length > 2 * RECENT_STAMPS_MAX) session.recent.splice(0, RECENT_STAMPS_MAX)
}

/** The stamp this message got when it came before; undefined when it is not known to have come. */
export function stampOf(session: MqttSession, { packetId, payload }: Sent): number | undefined {
  const last = session.recent.findLast((entry) => entry.packetId === packetId)
  return last?.payloadSum === crc32(payload) ? last.stampMs : undefined
}
