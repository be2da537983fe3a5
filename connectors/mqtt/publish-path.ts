/**
 * The way of an open connection's messages: through the gate, and back as acknowledgements in the
 * order of the PUBLISH packets. It holds at most `inFlightMax` of them unacknowledged, and is full
 * from there until half of them have left.
 */
import type { DeviceLane } from '../device-lanes.ts'
import type { Acceptance, Ingress } from '../ingress.ts'
import { AckQueue, type LeavingAcks } from './ack-queue.ts'
import type { DurabilityWaiter, DurabilityWatch } from './durability-watch.ts'
import type { MqttLimits } from './mqtt-limits.ts'
import type { PublishPacket, Will } from './packet.ts'
import type { AckKind } from './packet-writer.ts'
import { type MqttSession, rememberStamp, stampOf } from './session.ts'
import { TELEMETRY_TOPICS, unknownTopicDetail } from './telemetry-topic.ts'

export type PublishPorts = Readonly<{
  ingress: Ingress
  durability: DurabilityWatch
  limits: MqttLimits
}>
type PathOf = Readonly<{ lane: DeviceLane; session: MqttSession; waiter: DurabilityWaiter }>

/** Messages are told to the waiter as they become durable: then some acknowledgements may leave. */
export class PublishPath {
  readonly #ports: PublishPorts
  readonly #lane: DeviceLane
  readonly #session: MqttSession
  readonly #waiter: DurabilityWaiter
  readonly #acks = new AckQueue()
  #full = false

  constructor(ports: PublishPorts, { lane, session, waiter }: PathOf) {
    this.#ports = ports
    this.#lane = lane
    this.#session = session
    this.#waiter = waiter
  }

  /** No more messages until acknowledgements have left. */
  get full(): boolean {
    return this.#full
  }

  get owedCount(): number {
    return this.#acks.size
  }

  /** A device may hold only so many QoS 2 messages without their PUBREL. */
  get unreleasedIsFull(): boolean {
    return this.#session.awaitingRelease.size >= this.#ports.limits.unreleasedMax
  }

  /** Stored before; only its PUBREC was lost. */
  isReceived(packet: PublishPacket): boolean {
    return packet.qos === 2 && this.#session.awaitingRelease.has(packet.packetId)
  }

  /** `busy`: nothing was taken. Otherwise the acknowledgement is owed from `nowMs` on. */
  publish(packet: PublishPacket, receivedAtMs: number, nowMs: number): Acceptance {
    const stampMs = packet.dup ? stampOf(this.#session, packet) : undefined
    const acceptance = this.#submit(packet, receivedAtMs, stampMs)
    if (acceptance.kind === 'busy') return acceptance
    const { durable, verdict } = acceptance
    if (packet.qos === 0) {
      this.#ports.durability.of(durable, this.#waiter)
      return acceptance
    }
    // A rejected message is acknowledged too, once its dead letter is durable: MQTT 3.1.1 has no
    // negative acknowledgement, and silence means "send it again".
    if (verdict.kind === 'stored') rememberStamp(this.#session, packet, acceptance.stampMs)
    const kind = packet.qos === 1 ? 'puback' : 'pubrec'
    const durability = this.#ports.durability.of(durable, this.#waiter)
    this.#owe({ kind, packetId: packet.packetId, durability, owedSinceMs: nowMs })
    return acceptance
  }

  /** No acknowledgement is owed for a will, and one that the gate has no room for is lost. */
  publishWill(will: Will, receivedAtMs: number): void {
    const acceptance = this.#submit(will, receivedAtMs)
    if (acceptance.kind === 'taken') this.#ports.durability.of(acceptance.durable, this.#waiter)
  }

  /** An answer that waits for nothing but those before it. */
  answer(kind: AckKind, packetId: number, nowMs: number): void {
    this.#owe({ kind, packetId, durability: undefined, owedSinceMs: nowMs })
    this.#waiter.onDurable()
  }

  release(packetId: number): void {
    this.#session.awaitingRelease.delete(packetId)
  }

  /** The acknowledgements that may leave now; undefined when none may. */
  takeDurable(): LeavingAcks | undefined {
    const leaving = this.#acks.takeDurable()
    if (leaving === undefined) return undefined
    for (const packetId of leaving.receivedIds) this.#session.awaitingRelease.add(packetId)
    if (this.#acks.size <= this.#ports.limits.inFlightMax / 2) this.#full = false
    return leaving
  }

  close(): void {
    this.#ports.ingress.closeLane(this.#lane)
  }

  #submit(
    { topic, payload }: Readonly<{ topic: string; payload: Buffer }>,
    receivedAtMs: number,
    stampMs?: number,
  ): Acceptance {
    const submission = { protocol: 'mqtt', payload, receivedAtMs, stampMs } as const
    if (TELEMETRY_TOPICS.has(topic)) return this.#ports.ingress.accept(this.#lane, submission)
    const refusal = { reason: 'topic_unknown', detail: unknownTopicDetail(topic) } as const
    return this.#ports.ingress.accept(this.#lane, { ...submission, refusal })
  }

  #owe(owed: Parameters<AckQueue['owe']>[0]): void {
    this.#acks.owe(owed)
    if (this.#acks.size >= this.#ports.limits.inFlightMax) this.#full = true
  }
}
