/**
 * Sessions of devices that asked to keep theirs (clean session 0), by identity and client id. For
 * now they live as long as this process; a device then hears "no session present" and starts anew.
 */
import type { ConnectPacket } from './packet.ts'
import { type MqttSession, newSession } from './session.ts'

export class SessionStore {
  readonly #kept = new Map<string, MqttSession>()
  readonly #sessionsMax: number

  constructor(sessionsMax: number) {
    this.#sessionsMax = sessionsMax
  }

  /** §3.1.2.4: continues a kept session, or begins one and forgets what was kept before. */
  open(
    key: string,
    { clientId, cleanSession }: ConnectPacket,
  ): Readonly<{ session: MqttSession; present: boolean }> {
    const kept = this.#kept.get(key)
    this.#kept.delete(key)
    if (cleanSession) return { session: newSession(clientId, true), present: false }
    const session = kept ?? newSession(clientId, false)
    this.#kept.set(key, session)
    this.#forgetOldest()
    return { session, present: kept !== undefined }
  }

  #forgetOldest(): void {
    if (this.#kept.size <= this.#sessionsMax) return
    const oldest = this.#kept.keys().next()
    if (oldest.done !== true) this.#kept.delete(oldest.value)
  }
}
