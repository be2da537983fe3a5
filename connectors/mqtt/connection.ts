/**
 * One MQTT connection: reads packets as fast as the gate takes them, answers them, and closes with
 * a reason. While its publish path is full, or one message waits for room in the gate, the socket
 * is paused, so the device feels TCP, not loss.
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
import { rulesOf } from '../device-lanes.ts'
import type { LeavingAcks } from './ack-queue.ts'
import type { DurabilityWaiter } from './durability-watch.ts'
import {
  CONNACK,
  type ClientPacket,
  type ConnackCode,
  type ConnectPacket,
  type PublishPacket,
  type Will,
} from './packet.ts'
import { PacketParser, type Parsed } from './packet-parser.ts'
import { PINGRESP, connack, subackRefusing, unsuback } from './packet-writer.ts'
import { PublishPath, type PublishPorts } from './publish-path.ts'
import type { MqttSession } from './session.ts'

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
export interface ConnectionHost extends PublishPorts {
  readonly directory: DeviceDirectory
  readonly clock: Clock
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
  #state: State = 'connecting'
  #identity: Identity | undefined
  /** From the accepted CONNECT on. */
  #path: PublishPath | undefined
  #will: Will | undefined
  /** A message that the gate had no room for: the first thing to do when it has. */
  #held: PublishPacket | undefined
  #waitingForRoom = false
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
    const wasFull = this.#path?.full === true
    const leaving = this.#path?.takeDurable()
    if (leaving === undefined) return undefined
    this.#socket.write(leaving.bytes)
    if (this.#state === 'draining') this.#finishDrain()
    else if (wasFull && this.#path?.full === false) this.#process()
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
    this.#path?.close()
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
    if (this.#waitingForRoom || this.#path?.full === true) return false
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
    const lane = ingress.openLane(answer.tenant, answer.device, rulesOf(answer))
    this.#will = connect.will
    this.#keepAliveMs = connect.keepAliveS * 1000
    this.#parser.packetBytesMax = limits.packetBytesMax
    const { session, present } = this.#host.admit(this, connect)
    this.#path = new PublishPath(this.#host, { lane, session, waiter: this })
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
        this.#path?.release(packet.packetId)
        // [MQTT-4.3.3-2]: answered even when we know nothing of it, so that the device can end it.
        return this.#path?.answer('pubcomp', packet.packetId, this.#heardAtMs)
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
    const path = this.#path
    if (path === undefined) return
    if (path.isReceived(packet)) return path.answer('pubrec', packet.packetId, this.#heardAtMs)
    if (path.unreleasedIsFull) {
      return this.close('protocol_error', 'too many QoS 2 messages without their PUBREL')
    }
    const acceptance = path.publish(packet, receivedAtMs, this.#heardAtMs)
    if (acceptance.kind === 'busy') this.#waitForRoom(packet, acceptance)
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
    this.#path?.publishWill(will, this.#host.clock.nowMs())
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
    if (this.#path !== undefined && this.#path.owedCount > 0) return
    const { reason, detail } = this.#afterDrain
    this.close(reason, detail)
  }
}
