/**
 * One message of one device, packed. Numbers, booleans and strings are kept in arrays of their
 * own, because Avro unions would cost a branch per sample and lose the type of a metric.
 *
 *   series[i].t0 + series[i].dt[k]   is the event time of sample k, in ms since 1970 UTC
 *   series[i].v[k]                   is its value
 *
 * A tick is a Telemetry with empty tenant, device and series, sent with a null key to an explicit
 * partition: it moves event time forward on partitions where no device speaks.
 */
export const TELEMETRY_SCHEMA = {
  type: 'record',
  name: 'Telemetry',
  namespace: 'weir',
  doc: 'One message of one device. Times are ms since 1970 UTC.',
  fields: [
    { name: 'tenant', type: 'string' },
    { name: 'device', type: 'string' },
    {
      name: 'recvTs',
      type: 'long',
      doc: 'Receive time at the connector, strictly increasing per device.',
    },
    { name: 'protocol', type: 'string', doc: 'mqtt, coap, websocket, http, or tick.' },
    {
      name: 'stamped',
      type: 'boolean',
      default: true,
      doc: 'False when the device sent no time and the samples carry the receive time.',
    },
    {
      name: 'numbers',
      type: { type: 'array', items: seriesOf('NumberSeries', 'double') },
      default: [],
    },
    {
      name: 'booleans',
      type: { type: 'array', items: seriesOf('BooleanSeries', 'boolean') },
      default: [],
    },
    {
      name: 'strings',
      type: { type: 'array', items: seriesOf('StringSeries', 'string') },
      default: [],
    },
    {
      name: 'seq',
      type: ['null', 'long'],
      default: null,
      doc: 'The number that the device gave this message, if it counts: each one more than the last.',
    },
    {
      name: 'shiftMs',
      type: 'long',
      default: 0,
      doc: 'Restamped: what the edge took away from the times the device sent. 0: they stand.',
    },
  ],
} as const

function seriesOf(name: string, value: 'double' | 'boolean' | 'string') {
  return {
    type: 'record',
    name,
    fields: [
      { name: 'metric', type: 'string' },
      { name: 't0', type: 'long' },
      { name: 'dt', type: { type: 'array', items: 'long' }, doc: 'Each sample: ms after t0.' },
      { name: 'v', type: { type: 'array', items: value } },
    ],
  }
}

export type Series<V> = { metric: string; t0: number; dt: number[]; v: V[] }
export type Telemetry = {
  tenant: string
  device: string
  recvTs: number
  protocol: string
  stamped: boolean
  numbers: Series<number>[]
  booleans: Series<boolean>[]
  strings: Series<string>[]
  seq?: number | null
  shiftMs?: number
}

/** The record that carries only the passing of time. */
export function tickRecord(recvTs: number): Telemetry {
  return {
    tenant: '',
    device: '',
    recvTs,
    protocol: 'tick',
    stamped: true,
    numbers: [],
    booleans: [],
    strings: [],
  }
}

/**
 * A sample further ahead than this of both the connector's and the broker's clock is not counted:
 * it is dead-lettered as `clock_skew`. Every reader of telemetry.v1 judges by the same clocks, the
 * ones inside the log, so that a replay decides as the first reading did.
 */
export const CLOCK_SKEW_MS_MAX = 60_000

/** The latest believable time for a record: no clock that touched it is ahead of this. */
export function clampMs(recvTs: number, appendTimeMs: number): number {
  return Math.min(recvTs, appendTimeMs)
}

export const DAY_MS = 86_400_000
/**
 * Reading back what the retention is about to delete is no basis for a correction: a day, and one
 * more because Kafka deletes whole segments, which it fills for a day (topics.ts).
 */
const RETENTION_MARGIN_DAYS = 2

/**
 * The oldest sample that is still taken. It must be in the raw table whole for as long as Kafka
 * can hand us its record again.
 */
export const acceptedAgeMs = (
  kept: Readonly<{ rawRetentionDays: number; logRetentionDays: number }>,
): number => (kept.rawRetentionDays - kept.logRetentionDays - RETENTION_MARGIN_DAYS) * DAY_MS

/** How old a record of the log can be, in ms: Kafka fills a segment for a day, and keeps it whole. */
export const logAgeMsMax = (kept: Readonly<{ logRetentionDays: number }>): number =>
  (kept.logRetentionDays + 1) * DAY_MS

/** Sentences about retentions that contradict each other. */
export const retentionContradictions = (
  kept: Parameters<typeof acceptedAgeMs>[0],
): readonly string[] =>
  acceptedAgeMs(kept) >= DAY_MS
    ? []
    : ['rawRetentionDays must exceed logRetentionDays by at least 3 days.']

/**
 * Whether a sample lies outside of the times that count, and on which side. `acceptedAgeMs` is how
 * old it may be when the broker appends it: raw rows must outlive what Kafka can hand out again.
 */
export function timeRefusal(
  tsMs: number,
  record: Readonly<{ clampMs: number; appendMs: number }>,
  acceptedAgeMs: number,
): 'clock_skew' | 'too_late' | undefined {
  if (tsMs > newestAcceptedMs(record.clampMs)) return 'clock_skew'
  if (tsMs < oldestAcceptedMs(record.appendMs, acceptedAgeMs)) return 'too_late'
  return undefined
}

/** The bounds of the times that count, both included, for callers that ask once per record. */
export const newestAcceptedMs = (clampMs: number): number => clampMs + CLOCK_SKEW_MS_MAX
export const oldestAcceptedMs = (appendMs: number, acceptedAgeMs: number): number =>
  Math.max(0, appendMs - acceptedAgeMs)

/**
 * Metrics of one device. The edge refuses a message that would bring it more; without a limit one
 * device that puts numbers into its metric names fills everybody's memory.
 */
export const METRICS_PER_DEVICE_MAX = 1_000
