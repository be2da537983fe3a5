/**
 * Every metric of every process. Names follow Prometheus: `weir_` first, the unit last, `_total`
 * on counters. Labels are few and bounded: never a device, never a topic a stranger can choose.
 */
type CounterSpec = Readonly<{ type: 'counter'; help: string; labels: readonly string[] }>
type GaugeSpec = Readonly<{ type: 'gauge'; help: string; labels: readonly string[] }>
type HistogramSpec = Readonly<{
  type: 'histogram'
  help: string
  labels: readonly string[]
  buckets: readonly number[]
}>

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export const METRICS = {
  weir_event_loop_delay_seconds: {
    type: 'gauge',
    help: 'Largest event loop delay since the last heartbeat.',
    labels: [],
  },
  weir_log_append_seconds: {
    type: 'histogram',
    help: 'From a record being handed to the log writer to its acknowledgement by Kafka.',
    labels: [],
    buckets: SECONDS,
  },
  weir_log_append_retries_total: {
    type: 'counter',
    help: 'Produce requests that had to be sent again.',
    labels: [],
  },
  weir_log_queued_bytes: { type: 'gauge', help: 'Bytes waiting for Kafka.', labels: [] },
} as const satisfies Record<string, CounterSpec | GaugeSpec | HistogramSpec>

export type MetricName = keyof typeof METRICS
