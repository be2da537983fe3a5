/**
 * A message refused at the edge, as a record of the dead-letter topic: the payload byte for byte
 * as its value, the device as its key, the story in headers.
 */
import type { OutgoingRecord } from '../platform/kafka/log.ts'
import {
  DEAD_LETTER_ERROR_CHARS_MAX,
  DEAD_LETTER_HEADERS,
  type DeadLetterReason,
  type DeadLetterStage,
} from '../schemas/dead-letter.ts'
import type { DeviceLane } from './device-lanes.ts'

export type EdgeRefusal = Readonly<{
  reason: DeadLetterReason
  detail: string
  protocol: string
  receivedAtMs: number
  payload: Buffer
}>

export type DeadLetterSource = Readonly<{ service: string; version: string }>

/** Copies the payload: it is a view into a receive buffer, and the record may wait for Kafka. */
export function deadLetterRecord(
  lane: DeviceLane,
  refusal: EdgeRefusal,
  source: DeadLetterSource,
): OutgoingRecord {
  const h = DEAD_LETTER_HEADERS
  const story = {
    [h.stage]: stageOf(refusal.reason),
    [h.reason]: refusal.reason,
    [h.error]: refusal.detail.slice(0, DEAD_LETTER_ERROR_CHARS_MAX),
    [h.service]: source.service,
    [h.version]: source.version,
    [h.attempts]: '1',
    [h.tenant]: lane.tenant,
    [h.device]: lane.device,
    [h.protocol]: refusal.protocol,
    [h.receivedAt]: String(refusal.receivedAtMs),
  }
  const headers = Object.fromEntries(
    Object.entries(story).map(([name, text]) => [name, Buffer.from(text)]),
  )
  return { key: lane.key, value: Buffer.from(refusal.payload), headers }
}

function stageOf(reason: DeadLetterReason): DeadLetterStage {
  switch (reason) {
    case 'payload_not_json':
    case 'payload_too_deep':
    case 'payload_too_large':
    case 'decode_failed':
      return 'decode'
    case 'frame_invalid':
      return 'frame'
    case 'schema_unknown':
    case 'schema_incompatible':
      return 'schema'
    case 'clock_skew':
    case 'too_late':
    case 'partition_wrong':
    case 'crashed_process':
      return 'semantic'
    case 'sink_refused':
      return 'sink'
    case 'topic_unknown':
    case 'payload_shape_invalid':
    case 'payload_empty':
    case 'value_not_finite':
    case 'value_too_long':
    case 'too_many_metrics':
    case 'metric_invalid':
    case 'time_invalid':
      return 'validate'
  }
}
