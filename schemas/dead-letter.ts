/**
 * A dead letter is the original record, byte for byte, on `<topic>.dlq`, with its story in
 * headers. A message refused at the edge is recorded the same way: its value is the payload as
 * received, and the orig.* headers of a log position are absent.
 */
export const DEAD_LETTER_HEADERS = {
  topic: 'dlq.orig.topic',
  partition: 'dlq.orig.partition',
  offset: 'dlq.orig.offset',
  timestamp: 'dlq.orig.ts',
  stage: 'dlq.stage',
  reason: 'dlq.reason',
  error: 'dlq.error',
  schemaId: 'dlq.schema.id',
  service: 'dlq.service',
  version: 'dlq.version',
  attempts: 'dlq.attempts',
  replays: 'dlq.replays',
  /** JSON array of the (first) indexes of the bad samples, where only some of a record were bad. */
  samples: 'dlq.samples',
  /** Bytes of the original value, where the letter holds only its beginning. */
  valueBytes: 'dlq.value.bytes',
  tenant: 'dlq.tenant',
  device: 'dlq.device',
  protocol: 'dlq.protocol',
  receivedAt: 'dlq.received.ts',
} as const

export type DeadLetterStage = 'frame' | 'schema' | 'decode' | 'validate' | 'semantic' | 'sink'
export type DeadLetterReason =
  | 'frame_invalid'
  | 'schema_unknown'
  | 'schema_incompatible'
  | 'decode_failed'
  | 'topic_unknown'
  | 'payload_too_large'
  | 'payload_not_json'
  | 'payload_too_deep'
  | 'payload_shape_invalid'
  | 'payload_empty'
  | 'value_not_finite'
  | 'value_too_long'
  | 'too_many_metrics'
  | 'metric_invalid'
  | 'time_invalid'
  | 'clock_skew'
  | 'too_late'
  | 'partition_wrong'
  | 'crashed_process'
  | 'sink_refused'
/** Longest text of the `dlq.error` header, in characters. It never echoes a payload. */
export const DEAD_LETTER_ERROR_CHARS_MAX = 1000
/** So many bad samples are listed: a letter must not outgrow its topic by its story. */
export const DEAD_LETTER_SAMPLES_MAX = 1000
