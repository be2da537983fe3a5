/**
 * One MQTT connection: reads packets as fast as the gate takes them, answers them, and closes with
 * a reason. It holds at most `inFlightMax` unacknowledged messages and one that the gate had no
 * room for; while either bound is met the socket is paused, so the device feels TCP, not loss.
 *
 *   connecting ──CONNECT──▶ authenticating ──▶ open ──▶ draining ──▶ closing ──▶ closed
 *   (any state but the last may go to closing or closed)
 *
 * `draining` takes nothing more and sends the acknowledgements that are still owed; `closing` has
 * sent its last bytes. Both discard what still arrives: closing a socket with unread bytes resets it,
 * and a reset can destroy acknowledgements on their way to the device.
 */
import type { Socket } from 'node:net'
import type { DeviceDirectory } from '../../devices/device-directory.ts'
import type { Clock } from '../../platform/clock.ts'
import { unreachable } from '../../platform/failure.ts'
import type { DeviceLane } from '../device-lanes.ts'
import type { Acceptance, Ingress } from '../ingress.ts'
import { AckQueue, type LeavingAcks } from './ack-queue.ts'
import type { DurabilityWaiter, DurabilityWatch } from './durability-watch.ts'
import type { MqttLimits } from './mqtt-limits.ts'
import {
  CONNACK,
  type ClientPacket,
  type ConnackCode,
  type ConnectPacket,
  type PublishPacket,
  type Will,
} from './packet.ts'
import { PacketParser, type Parsed } from './packet-parser.ts'
import { type AckKind, PINGRESP, connack, subackRefusing, unsuback } from './packet-writer.ts'
import { type MqttSession, rememberStamp, stampOf } from './session.ts'
import { TELEMETRY_TOPICS, unknownTopicDetail } from './telemetry-topic.ts'

export type CloseReason =
  | 'disconnect'
  | 'peer_closed'
  | 'connect_timeout'
  | 'keep_alive_timeout'
  | 'malformed'
  | 'too_large'
  | 'protocol_error'
  | 'refused'
  | 'taken_over'
  | 'revoked'
  | 'shutdown'

type Closing = Readonly<{ reason: CloseReason; detail: string }>
export type Identity = Readonly<{ tenant: string; device: string; credential: string }>

/** What a connection needs of its listener. */
export interface ConnectionHost {
  readonly ingress: Ingress
  readonly directory: DeviceDirectory
  readonly clock: Clock
  readonly limits: MqttLimits
  readonly durability: DurabilityWatch
  /** Gives the session of an authenticated CONNECT, ending an older connection of the same. */
  admit(
    connection: MqttConnection,
    connect: ConnectPacket,
  ): Readonly<{ session: MqttSession; present: boolean }>
  /** Asks for flush() to be called at the end of this turn of the event loop. */
  flushLater(connection: MqttConnection): void
  answered(connection: MqttConnection, code: ConnackCode): void
  /** Called once, whatever ended it. `detail` is a sentence for the log. */
  closed(connection: MqttConnection, reason: CloseReason, detail: string): void
}

type State = 'connecting' | 'authenticating' | 'open' | 'draining' | 'closing' | 'closed'

/** Acknowledgements that the device does not read may fill this much before we stop reading it. */
const UNREAD_ANSWERS_BYTES_MAX = 65_536

export class MqttConnection implements DurabilityWaiter {
  /** Set by the listener: identity and client id, under which this connection can be taken over. */
  clientKey: string | undefined
  readonly #host: ConnectionHost
  readonly #socket: Socket
  readonly #parser: PacketParser
  readonly #acks = new AckQueue()
  #state: State = 'connecting'
  #identity: Identity | undefined
  #lane: DeviceLane | undefined
  #session: MqttSession | undefined
  #will: Will | undefined
  /** A message that the gate had no room for: the first thing to do when it has. */
  #held: PublishPacket | undefined
  #waitingForRoom = false
  /** Set while the number in flight was at its bound and has not fallen to the low mark. */
  #full = false
  #paused = false
  /** 0: the device asked for no keep-alive. */
  #keepAliveMs = 0
  #heardAtMs: number
  /** In closing: when the socket is destroyed if the peer has not closed it. */
  #destroyAtMs = Number.POSITIVE_INFINITY
  #closing: Closing | undefined
  #afterDrain: Closing = { reason: 'shutdown', detail: '' }

  constructor(socket: Socket, host: ConnectionHost) {
    this.#host = host
    this.#socket = socket
    this.#parser = new PacketParser(host.limits.connectBytesMax)
    this.#heardAtMs = host.clock.monotonicMs()
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#process())
    socket.on('error', (error) => this.#onPeerGone(error.message))
    socket.on('close', () => this.#onPeerGone('the device closed the connection'))
  }

  get identity(): Identity | undefined {
    return this.#identity
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? ''
  }

  /** Enforces the time limits. Called about once a second. */
  sweep(nowMs: number): void {
    const { limits } = this.#host
    const silentMs = nowMs - this.#heardAtMs
    if (this.#state === 'closing') {
      if (nowMs >= this.#destroyAtMs) this.#socket.destroy()
    } else if (this.#state === 'connecting') {
      // Counted from the first moment: bytes that trickle in do not extend it.
      if (silentMs > limits.connectTimeoutMs) this.close('connect_timeout', 'no CONNECT in time')
    } else if (this.#state === 'open' && this.#keepAliveMs > 0 && !this.#paused) {
      // [MQTT-3.1.2-24]. While we do not read we cannot hear, and the silence is ours.
      if (silentMs > 1.5 * this.#keepAliveMs) {
        this.close('keep_alive_timeout', `silent for ${Math.round(silentMs)} ms`)
      }
    }
  }

  /** Takes nothing more, sends the acknowledgements that are still owed, then closes. */
  beginDrain(): void {
    this.#drainThenClose('shutdown', 'this process is shutting down')
  }

  onDurable(): void {
    this.#host.flushLater(this)
  }

  onLost(): void {
    this.close('shutdown', 'the log was closed before a message was stored')
  }

  /** Sends what became durable, in order, in one write. */
  flush(): LeavingAcks | undefined {
    if (this.#state !== 'open' && this.#state !== 'draining') return undefined
    const leaving = this.#acks.takeDurable()
    if (leaving === undefined || this.#session === undefined) return undefined
    for (const packetId of leaving.receivedIds) this.#session.awaitingRelease.add(packetId)
    this.#socket.write(leaving.bytes)
    if (this.#state === 'draining') this.#finishDrain()
    else if (this.#full && this.#acks.size <= this.#host.limits.inFlightMax / 2) {
      this.#full = false
      this.#process()
    }
    return leaving
  }

  /** Ends the connection from our side, sending `last` first. Harmless when it has ended. */
  close(reason: CloseReason, detail: string, last?: Buffer): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#publishWill(reason)
    this.#state = 'closing'
    this.#closing = { reason, detail }
    this.#held = undefined
    this.#destroyAtMs = this.#host.clock.monotonicMs() + this.#host.limits.lingerMs
    if (last === undefined) this.#socket.end()
    else this.#socket.end(last)
    this.#setPaused(false)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #onPeerGone(detail: string): void {
    if (this.#state === 'closed') return
    const { reason, detail: why } = this.#closing ?? { reason: 'peer_closed', detail }
    if (this.#closing === undefined) this.#publishWill(reason)
    this.#state = 'closed'
    this.#held = undefined
    if (this.#lane !== undefined) this.#host.ingress.closeLane(this.#lane)
    this.#socket.destroy()
    this.#host.closed(this, reason, why)
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'draining' || this.#state === 'closing' || this.#state === 'closed') return
    if (this.#state !== 'connecting') this.#heardAtMs = this.#host.clock.monotonicMs()
    this.#parser.push(chunk)
    this.#process()
  }

  #mayRead(): boolean {
    if (this.#state !== 'open' && this.#state !== 'connecting') return false
    if (this.#waitingForRoom || this.#full) return false
    return this.#socket.writableLength < UNREAD_ANSWERS_BYTES_MAX
  }

  #process(): void {
    if (!this.#mayRead()) return this.#pauseUnlessEnding()
    this.#socket.cork()
    const receivedAtMs = this.#host.clock.nowMs()
    do {
      const packet: Parsed = this.#held ?? this.#parser.next()
      this.#held = undefined
      if (packet === undefined) break
      this.#handle(packet, receivedAtMs)
    } while (this.#mayRead())
    this.#socket.uncork()
    if (this.#mayRead()) this.#setPaused(false)
    else this.#pauseUnlessEnding()
  }

  #pauseUnlessEnding(): void {
    const state = this.#state
    if (state !== 'draining' && state !== 'closing' && state !== 'closed') this.#setPaused(true)
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused) return
    this.#paused = paused
    if (paused) this.#socket.pause()
    else this.#socket.resume()
    this.#heardAtMs = this.#host.clock.monotonicMs()
  }

  #handle(packet: Exclude<Parsed, undefined>, receivedAtMs: number): void {
    if (packet.kind === 'publish' && this.#state === 'open') {
      return this.#onPublish(packet, receivedAtMs)
    }
    if (packet.kind === 'malformed') return this.close('malformed', packet.reason)
    if (packet.kind === 'too_large') {
      return this.close('too_large', `a packet of ${packet.bytes} bytes`)
    }
    if (this.#state === 'connecting') this.#onFirst(packet)
    else this.#onControl(packet)
  }

  /** [MQTT-3.1.0-1]: the first packet must be CONNECT. */
  #onFirst(packet: ClientPacket): void {
    if (packet.kind === 'connect') {
      this.#state = 'authenticating'
      void this.#onConnect(packet)
    } else if (packet.kind === 'connect_unsupported') {
      this.#refuse(CONNACK.protocolUnacceptable, `protocol level ${packet.level} is not offered`)
    } else {
      this.close('protocol_error', `${packet.kind} before CONNECT [MQTT-3.1.0-1]`)
    }
  }

  async #onConnect(connect: ConnectPacket): Promise<void> {
    const { directory, ingress, limits } = this.#host
    const tooLong = Buffer.byteLength(connect.clientId) > limits.clientIdBytesMax
    if (tooLong || (connect.clientId === '' && !connect.cleanSession)) {
      // [MQTT-3.1.3-8]: no client id needs a clean session.
      return this.#refuse(CONNACK.identifierRejected, 'the client id is too long, or missing')
    }
    if (connect.username === undefined) return this.#refuse(CONNACK.notAuthorized, 'no username')
    const answer = await directory.authenticate(connect.username, connect.password)
    // The device may have gone, or we may be shutting down, while Postgres was asked.
    if (this.#state !== 'authenticating') return
    switch (answer.kind) {
      case 'refused':
        return this.#refuse(CONNACK.notAuthorized, 'the credentials are not those of a device')
      case 'unavailable':
        return this.#refuse(CONNACK.unavailable, 'credentials cannot be checked now')
      case 'device':
    }
    this.#identity = answer
    this.#lane = ingress.openLane(answer.tenant, answer.device)
    this.#will = connect.will
    this.#keepAliveMs = connect.keepAliveS * 1000
    this.#parser.packetBytesMax = limits.packetBytesMax
    const { session, present } = this.#host.admit(this, connect)
    this.#session = session
    this.#state = 'open'
    this.#heardAtMs = this.#host.clock.monotonicMs()
    this.#host.answered(this, CONNACK.accepted)
    this.#socket.write(connack(CONNACK.accepted, present))
    this.#process()
  }

  #refuse(code: ConnackCode, detail: string): void {
    this.#host.answered(this, code)
    this.close('refused', detail, connack(code))
  }

  #onControl(packet: ClientPacket): void {
    switch (packet.kind) {
      case 'pubrel':
        this.#session?.awaitingRelease.delete(packet.packetId)
        // [MQTT-4.3.3-2]: answered even when we know nothing of it, so that the device can end it.
        return this.#owe('pubcomp', packet.packetId)
      case 'subscribe':
        this.#socket.write(subackRefusing(packet.packetId, packet.filters.length))
        return
      case 'unsubscribe':
        this.#socket.write(unsuback(packet.packetId))
        return
      case 'pingreq':
        this.#socket.write(PINGRESP)
        return
      case 'disconnect':
        // [MQTT-3.14.4-3]: without its will. What it still waits for is sent if it listens.
        return this.#drainThenClose('disconnect', 'the device said goodbye')
      case 'connect':
      case 'connect_unsupported':
        return this.close('protocol_error', 'a second CONNECT [MQTT-3.1.0-2]')
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        return // Nothing was sent that they could answer.
      case 'publish':
        return // Handled before; only an open connection gets here.
      default:
        return unreachable(packet)
    }
  }

  #onPublish(packet: PublishPacket, receivedAtMs: number): void {
    const session = this.#session
    if (session === undefined) return
    if (packet.qos === 2 && session.awaitingRelease.has(packet.packetId)) {
      return this.#owe('pubrec', packet.packetId) // Stored before; only the PUBREC was lost.
    }
    if (session.awaitingRelease.size >= this.#host.limits.unreleasedMax) {
      return this.close('protocol_error', 'too many QoS 2 messages without their PUBREL')
    }
    const stampMs = packet.dup ? stampOf(session, packet) : undefined
    const acceptance = this.#submit(packet, receivedAtMs, stampMs)
    if (acceptance === undefined) return
    if (acceptance.kind === 'busy') return this.#waitForRoom(packet, acceptance)
    if (packet.qos === 0) {
      this.#host.durability.of(acceptance.durable, this)
      return
    }
    // A rejected message is acknowledged too, once its dead letter is durable: MQTT 3.1.1 has no
    // negative acknowledgement, and silence means "send it again".
    if (acceptance.verdict.kind === 'stored') rememberStamp(session, packet, acceptance.stampMs)
    this.#owe(packet.qos === 1 ? 'puback' : 'pubrec', packet.packetId, acceptance.durable)
  }

  #submit(
    { topic, payload }: Readonly<{ topic: string; payload: Buffer }>,
    receivedAtMs: number,
    stampMs?: number,
  ): Acceptance | undefined {
    if (this.#lane === undefined) return undefined
    const submission = { protocol: 'mqtt', payload, receivedAtMs, stampMs } as const
    if (TELEMETRY_TOPICS.has(topic)) return this.#host.ingress.accept(this.#lane, submission)
    const refusal = { reason: 'topic_unknown', detail: unknownTopicDetail(topic) } as const
    return this.#host.ingress.accept(this.#lane, { ...submission, refusal })
  }

  #owe(kind: AckKind, packetId: number, durable?: Promise<void>): void {
    const { durability, limits } = this.#host
    this.#acks.owe({
      kind,
      packetId,
      durability: durable === undefined ? undefined : durability.of(durable, this),
      owedSinceMs: this.#heardAtMs,
    })
    if (durable === undefined) this.onDurable()
    if (this.#acks.size >= limits.inFlightMax) this.#full = true
  }

  #waitForRoom(packet: PublishPacket, busy: Readonly<{ retryAfterMs: number }>): void {
    this.#held = packet
    this.#waitingForRoom = true
    this.#host.ingress.whenFree(busy).then(
      () => {
        this.#waitingForRoom = false
        this.#process()
      },
      () => this.close('shutdown', 'the log was closed while a message waited'),
    )
  }

  /** [MQTT-3.1.2-8]: when the connection ends without DISCONNECT. Not at our own shutdown. */
  #publishWill(reason: CloseReason): void {
    const will = this.#will
    this.#will = undefined
    if (will === undefined || reason === 'shutdown' || reason === 'revoked') return
    const acceptance = this.#submit(will, this.#host.clock.nowMs())
    if (acceptance?.kind === 'taken') this.#host.durability.of(acceptance.durable, this)
  }

  #drainThenClose(reason: CloseReason, detail: string): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#state = 'draining'
    this.#will = undefined
    this.#held = undefined
    this.#afterDrain = { reason, detail }
    this.#setPaused(false)
    this.#finishDrain()
  }

  #finishDrain(): void {
    if (this.#acks.size > 0) return
    const { reason, detail } = this.#afterDrain
    this.close(reason, detail)
  }
}
