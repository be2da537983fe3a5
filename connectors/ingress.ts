/**
 * The one gate. Every protocol hands what devices say to accept(), and nothing reaches the log by
 * another way. The gate decides about data, protocols only translate its answers:
 *
 *   busy   nothing was taken. Hold the message and stop reading until whenFree() resolves.
 *   taken  the message is on its way to the log, as telemetry or (refused) as a dead letter. The
 *          verdict holds, and may be told to the device, once `durable` resolves; it rejects only
 *          when the process shuts down, and then nothing may be told.
 *
 * Messages that are gathered into one Kafka request share one `durable`, so that a thousand
 * messages cost one promise. accept() itself is synchronous and never throws on any payload.
 */
import type { LogWriter } from '../platform/kafka/log.ts'
import { DEAD_LETTERS, QUARANTINE, TELEMETRY, partitionOf } from '../schemas/topics.ts'
import type { DeadLetterReason } from '../schemas/dead-letter.ts'
import { METRICS_PER_DEVICE_MAX, type Telemetry } from '../schemas/telemetry.ts'
import { clockShiftMs, shift } from './clock-check.ts'
import { type DeadLetterSource, deadLetterRecord } from './dead-letter.ts'
import {
  type DeviceLane,
  type DeviceLanes,
  type LaneRules,
  nextStampMs,
  stampsGiven,
} from './device-lanes.ts'
import { type DecodedPayload, decodeJson, type Refused } from './payload/json-payload.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { Tally, TallyCell } from './tally.ts'

export type Protocol = 'mqtt' | 'coap' | 'websocket' | 'http'

export type Submission = Readonly<{
  protocol: Protocol
  /** A view is enough: whatever outlives the call is copied. */
  payload: Buffer
  receivedAtMs: number
  /** Set by the protocol when it already knows that the message cannot be telemetry. */
  refusal?: Readonly<{ reason: DeadLetterReason; detail: string }>
  /** The stamp this very message was given when it came first, if it is known to come again. */
  stampMs?: number | undefined
}>

export type Verdict =
  | Readonly<{ kind: 'stored' }>
  | Readonly<{ kind: 'rejected'; reason: DeadLetterReason; detail: string }>
export type Acceptance =
  | Readonly<{ kind: 'taken'; verdict: Verdict; durable: Promise<void>; stampMs: number }>
  | Readonly<{ kind: 'busy'; retryAfterMs: number }>

export type IngressOptions = Readonly<{
  writer: LogWriter
  lanes: DeviceLanes
  tally: Tally
  topicPrefix: string
  /** Larger payloads are dead-lettered as payload_too_large. */
  payloadBytesMax: number
  /** The pipeline takes no older samples; see acceptedAgeMs() of schemas/telemetry.ts. */
  acceptedAgeMs: number
  encode: (telemetry: Telemetry) => Buffer
  deadLetterSource: DeadLetterSource
  deadLetterPartitions: number
  quarantinePartitions: number
  refusals: Pick<RefusalLog, 'refused'>
}>

/** What a full queue suggests to protocols that can only name a time. */
const RETRY_AFTER_MS = 1000
/**
 * Several unstamped readings in one message use up stamps faster than time passes. A message whose
 * last stamp would run this far ahead must wait for the clock, or its readings would count as clock
 * skew behind the edge: there the limit is CLOCK_SKEW_MS_MAX, by the broker's clock too.
 */
const STAMPS_AHEAD_MS_MAX = 30_000

const STORED: Verdict = { kind: 'stored' }

export class Ingress {
  readonly #options: IngressOptions
  readonly #telemetryTopic: string
  readonly #deadLetterTopic: string
  readonly #quarantineTopic: string
  readonly #received: Readonly<Record<Protocol, TallyCell>>
  readonly #stored: TallyCell
  readonly #quarantined: TallyCell
  readonly #busy: TallyCell
  readonly #restamped: TallyCell

  constructor(options: IngressOptions) {
    this.#options = options
    this.#telemetryTopic = options.topicPrefix + TELEMETRY.name
    this.#deadLetterTopic = options.topicPrefix + DEAD_LETTERS.name
    this.#quarantineTopic = options.topicPrefix + QUARANTINE.name
    const received = (protocol: Protocol) =>
      options.tally.cell('weir_ingress_received_total', { protocol })
    this.#received = {
      mqtt: received('mqtt'),
      coap: received('coap'),
      websocket: received('websocket'),
      http: received('http'),
    }
    this.#stored = options.tally.cell('weir_ingress_accepted_total')
    this.#quarantined = options.tally.cell('weir_ingress_quarantined_total')
    this.#busy = options.tally.cell('weir_ingress_busy_total')
    this.#restamped = options.tally.cell('weir_ingress_restamped_total')
  }

  /** A device begins to speak. Every accept() needs its lane; close it when the device is gone. */
  openLane(tenant: string, device: string, rules?: LaneRules): DeviceLane {
    return this.#options.lanes.open(tenant, device, rules)
  }

  closeLane(lane: DeviceLane): void {
    this.#options.lanes.close(lane)
  }

  accept(lane: DeviceLane, submission: Submission): Acceptance {
    const { receivedAtMs } = submission
    const firstStampMs = submission.stampMs ?? nextStampMs(lane, receivedAtMs)
    if (!this.#options.writer.hasRoom()) return this.#busyFor(RETRY_AFTER_MS)
    const latestMs = receivedAtMs + STAMPS_AHEAD_MS_MAX
    if (firstStampMs > latestMs) return this.#busyFor(firstStampMs - latestMs)
    const decoded = this.#decode(submission, firstStampMs)
    const stampsUsed = decoded.kind === 'decoded' ? decoded.stampsUsed : 0
    const lastStampMs = firstStampMs + Math.max(0, stampsUsed - 1)
    if (lastStampMs > latestMs) return this.#busyFor(lastStampMs - latestMs)

    this.#received[submission.protocol].count++
    if (decoded.kind === 'refused') return this.#refuse(lane, submission, decoded)
    const shiftMs = this.#clockShiftMs(lane, decoded, { receivedAtMs, stampMs: firstStampMs })
    if (typeof shiftMs === 'object') return this.#refuse(lane, submission, shiftMs)
    if (!lane.metrics.takes(decoded.series)) {
      return this.#refuse(lane, submission, {
        reason: 'too_many_metrics',
        detail: `a device has at most ${METRICS_PER_DEVICE_MAX} metrics`,
      })
    }

    if (submission.stampMs === undefined) stampsGiven(lane, lastStampMs, receivedAtMs)
    if (shiftMs !== 0) {
      shift(decoded.series, shiftMs)
      this.#restamped.count++
    }
    const value = this.#options.encode({
      tenant: lane.tenant,
      device: lane.device,
      recvTs: firstStampMs,
      protocol: submission.protocol,
      stamped: stampsUsed === 0,
      numbers: decoded.series.numbers,
      booleans: decoded.series.booleans,
      strings: decoded.series.strings,
      seq: decoded.seq,
      shiftMs,
    })
    const durable = this.#store(lane, value)
    return { kind: 'taken', verdict: STORED, durable, stampMs: firstStampMs }
  }

  #decode({ payload, refusal }: Submission, firstStampMs: number): DecodedPayload {
    if (refusal !== undefined) return { kind: 'refused', ...refusal }
    const { payloadBytesMax } = this.#options
    if (payload.length > payloadBytesMax) {
      const detail = `${payload.length} bytes; the limit is ${payloadBytesMax}`
      return { kind: 'refused', reason: 'payload_too_large', detail }
    }
    const decoded = decodeJson(payload, firstStampMs)
    if (decoded.kind === 'refused' || decoded.stampsUsed <= STAMPS_AHEAD_MS_MAX) return decoded
    // No waiting would help it.
    const detail = `${decoded.stampsUsed} readings without "ts"; a message may have ${STAMPS_AHEAD_MS_MAX}`
    return { kind: 'refused', reason: 'payload_shape_invalid', detail }
  }

  #store(lane: DeviceLane, value: Buffer): Promise<void> {
    const { writer, quarantinePartitions } = this.#options
    const record = { key: lane.key, value }
    if (!lane.quarantined) {
      this.#stored.count++
      return writer.append(this.#telemetryTopic, lane.partition, record)
    }
    this.#quarantined.count++
    const partition = partitionOf(lane.key, quarantinePartitions)
    return writer.append(this.#quarantineTopic, partition, record)
  }

  /** Resolves when accept() is worth another try after `busy`. */
  async whenFree(busy: Readonly<{ retryAfterMs: number }>): Promise<void> {
    if (!this.#options.writer.hasRoom()) return this.#options.writer.room()
    await new Promise<void>((resolve) => {
      setTimeout(resolve, busy.retryAfterMs).unref()
    })
  }

  #clockShiftMs(
    lane: DeviceLane,
    { newestMs, stampsUsed }: Readonly<{ newestMs: number | undefined; stampsUsed: number }>,
    times: Readonly<{ receivedAtMs: number; stampMs: number }>,
  ): number | Refused {
    const { acceptedAgeMs } = this.#options
    return clockShiftMs(
      { newestMs, mixed: stampsUsed > 0, ...times },
      lane.clockPolicy,
      acceptedAgeMs,
    )
  }

  #busyFor(retryAfterMs: number): Acceptance {
    this.#busy.count++
    return { kind: 'busy', retryAfterMs }
  }

  #refuse(
    lane: DeviceLane,
    { protocol, payload, receivedAtMs }: Submission,
    { reason, detail }: Readonly<{ reason: DeadLetterReason; detail: string }>,
  ): Acceptance {
    this.#options.tally.cell('weir_ingress_refused_total', { protocol, reason }).count++
    this.#options.refusals.refused(lane, { protocol, reason, detail, receivedAtMs })
    const record = deadLetterRecord(
      lane,
      { reason, detail, protocol, payload, receivedAtMs },
      this.#options.deadLetterSource,
    )
    const partition = partitionOf(lane.key, this.#options.deadLetterPartitions)
    const durable = this.#options.writer.append(this.#deadLetterTopic, partition, record)
    return { kind: 'taken', verdict: { kind: 'rejected', reason, detail }, durable, stampMs: 0 }
  }
}
