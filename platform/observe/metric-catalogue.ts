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
/** For what takes hours where there is much to catch up with. */
const LONG_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 60, 120, 300, 900, 3_600, 21_600, 86_400]

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
  weir_ingress_received_total: {
    type: 'counter',
    help: 'Messages of devices that the gate took, whatever became of them.',
    labels: ['protocol'],
  },
  weir_ingress_quarantined_total: {
    type: 'counter',
    help: 'Messages of quarantined devices, kept apart from telemetry.',
    labels: [],
  },
  weir_ingress_accepted_total: {
    type: 'counter',
    help: 'Messages handed to the log as telemetry.',
    labels: [],
  },
  weir_ingress_refused_total: {
    type: 'counter',
    help: 'Messages recorded as dead letters instead of telemetry.',
    labels: ['protocol', 'reason'],
  },
  weir_ingress_restamped_total: {
    type: 'counter',
    help: 'Messages moved to their receive time, because the clock of their device was wrong.',
    labels: [],
  },
  weir_ingress_busy_total: {
    type: 'counter',
    help: 'Times a protocol was told to wait because too much was queued for Kafka.',
    labels: [],
  },
  weir_mqtt_connections: { type: 'gauge', help: 'MQTT connections open now.', labels: [] },
  weir_mqtt_connects_total: {
    type: 'counter',
    help: 'Answers to MQTT CONNECT packets.',
    labels: ['outcome'],
  },
  weir_mqtt_disconnects_total: {
    type: 'counter',
    help: 'MQTT connections that ended, by why.',
    labels: ['reason'],
  },
  weir_mqtt_acknowledgements_total: {
    type: 'counter',
    help: 'PUBACK and PUBREC packets sent: each means stored, or dead-lettered.',
    labels: [],
  },
  weir_mqtt_ack_seconds: {
    type: 'histogram',
    help: 'From a PUBLISH being read to its acknowledgement being written. Sampled: the oldest of a turn.',
    labels: [],
    buckets: SECONDS,
  },
  weir_api_requests_total: {
    type: 'counter',
    help: 'Requests answered, by operation of the route table and by status.',
    labels: ['operation', 'status'],
  },
  weir_api_request_seconds: {
    type: 'histogram',
    help: 'From a whole request to its answer.',
    labels: ['operation'],
    buckets: SECONDS,
  },
  weir_live_sockets: { type: 'gauge', help: 'Open WebSockets of the live feed.', labels: [] },
  weir_live_subscriptions: { type: 'gauge', help: 'Subscriptions of the live feed.', labels: [] },
  weir_live_flowing: {
    type: 'gauge',
    help: '1 while records come from the log; 0 when not even the ticks of a silent fleet do.',
    labels: [],
  },
  weir_live_items_total: {
    type: 'counter',
    help: 'Items sent over the live feed, by stream.',
    labels: ['stream'],
  },
  weir_live_conflations_total: {
    type: 'counter',
    help: 'Times a slow reader of the live feed was given the newest state instead of every step.',
    labels: [],
  },
  weir_live_records_total: {
    type: 'counter',
    help: 'Records that the live feed read, by topic; `bad` are those it could not decode.',
    labels: ['topic', 'outcome'],
  },
  weir_live_delay_seconds: {
    type: 'histogram',
    help: 'From a record being appended to Kafka to its items being handed to the sockets.',
    labels: ['stream'],
    buckets: SECONDS,
  },
  weir_live_series: { type: 'gauge', help: 'Series whose newest value is in memory.', labels: [] },
  weir_offset_gap_total: {
    type: 'counter',
    help: 'Times that wanted offsets were not in the log, or a commit was not ours, by topic. Must stay 0.',
    labels: ['topic'],
  },
  weir_kafka_fetched_bytes_total: {
    type: 'counter',
    help: 'Bytes of records read from Kafka, by topic.',
    labels: ['topic'],
  },
  weir_kafka_damaged_fetches_total: {
    type: 'counter',
    help: 'Fetches with bytes that Kafka did not store, by topic. They are fetched again.',
    labels: ['topic'],
  },
  weir_kafka_rebalances_total: {
    type: 'counter',
    help: 'Times that a consumer was given its partitions, by consumer.',
    labels: ['consumer'],
  },
  weir_kafka_group_generation: {
    type: 'gauge',
    help: 'Generation of the consumer group as this member knows it.',
    labels: ['consumer'],
  },
  weir_kafka_lag_records: {
    type: 'gauge',
    help: 'Records between the position of a consumer and the end of a partition.',
    labels: ['consumer', 'topic', 'partition'],
  },
  weir_kafka_lag_seconds: {
    type: 'gauge',
    help: 'Age of the newest record that a consumer has read, where there are newer ones.',
    labels: ['consumer', 'topic', 'partition'],
  },
  weir_supervisor_restarts_total: {
    type: 'counter',
    help: 'Restarts of a role by `weir up`.',
    labels: ['child'],
  },
  weir_pipeline_records_total: {
    type: 'counter',
    help: 'Telemetry records folded for the first time by this process.',
    labels: [],
  },
  weir_pipeline_samples_total: {
    type: 'counter',
    help: 'Samples queued for the raw table, redeliveries included.',
    labels: [],
  },
  weir_pipeline_replayed_records_total: {
    type: 'counter',
    help: 'Records read again after a start or a rebalance to rebuild open windows.',
    labels: [],
  },
  weir_pipeline_late_samples_total: {
    type: 'counter',
    help: 'Samples of windows that were closed already, by how far behind the watermark: `under_1m`, `under_1h`, `under_1d` or `over_1d`. Each is corrected, none is dropped.',
    labels: ['behind'],
  },
  weir_pipeline_duplicate_samples_total: {
    type: 'counter',
    help: 'Samples whose series and time a record or an open window held already.',
    labels: [],
  },
  weir_pipeline_refused_samples_total: {
    type: 'counter',
    help: 'Samples not stored, whose records are in the dead letters.',
    labels: [],
  },
  weir_pipeline_dead_letters_total: {
    type: 'counter',
    help: 'Records written to the dead-letter topic, by reason.',
    labels: ['reason'],
  },
  weir_pipeline_partition_paused: {
    type: 'gauge',
    help: '1 while a partition stands still: too much of it is unreadable, a schema is not known yet, the tables refuse its rows, or settling is behind.',
    labels: ['partition', 'reason'],
  },
  weir_pipeline_corrections_total: {
    type: 'counter',
    help: 'Windows folded again from the raw table because of late samples.',
    labels: [],
  },
  weir_pipeline_cascaded_rows_total: {
    type: 'counter',
    help: 'Rows of hours and days merged from smaller windows.',
    labels: [],
  },
  weir_pipeline_rollup_rows_total: {
    type: 'counter',
    help: 'Rollup rows written, without corrections.',
    labels: [],
  },
  weir_pipeline_flush_seconds: {
    type: 'histogram',
    help: 'From the start of a flush to its rows being in ClickHouse.',
    labels: [],
    buckets: SECONDS,
  },
  weir_pipeline_settle_seconds: {
    type: 'histogram',
    help: 'From there to the commit of a partition: corrections, hours, days and dead letters, and the wait behind earlier flushes.',
    labels: [],
    buckets: LONG_SECONDS,
  },
  weir_window_close_delay_seconds: {
    type: 'histogram',
    help: 'From the end of a window to the moment it is closed. Sampled: the oldest that a batch of records closes.',
    labels: [],
    buckets: LONG_SECONDS,
  },
  weir_pipeline_sink_retries_total: {
    type: 'counter',
    help: 'Calls to ClickHouse that had to be repeated.',
    labels: [],
  },
  weir_pipeline_queued_bytes: {
    type: 'gauge',
    help: 'Estimated bytes of rows that wait for ClickHouse.',
    labels: [],
  },
  weir_pipeline_open_windows: {
    type: 'gauge',
    help: 'Windows that still take samples.',
    labels: ['partition'],
  },
  weir_pipeline_watermark_lag_seconds: {
    type: 'gauge',
    help: 'How far the newest event time of the partition is behind the clock.',
    labels: ['partition'],
  },
  weir_pipeline_live_skipped_total: {
    type: 'counter',
    help: 'Corrected windows not shown live because too much was queued. The tables have them.',
    labels: [],
  },
  weir_pipeline_live_windows_total: {
    type: 'counter',
    help: 'Window states published to live readers.',
    labels: [],
  },
  weir_rollup_audit_mismatch_total: {
    type: 'counter',
    help: 'Rollup rows that the auditor found wrong, absent, or without samples. Must stay 0.',
    labels: [],
  },
  weir_audit_windows_total: {
    type: 'counter',
    help: 'Rollup rows that the auditor folded again.',
    labels: [],
  },
  weir_audit_samples_total: {
    type: 'counter',
    help: 'Samples that the auditor found in the log or the raw table, by what became of them.',
    labels: ['outcome'],
  },
  weir_audit_letters_missing_total: {
    type: 'counter',
    help: 'Refused records without a dead letter, as found by the auditor. Must stay 0.',
    labels: [],
  },
  weir_audit_numbers_missing_total: {
    type: 'counter',
    help: 'Numbers that devices gave to messages that never came, as found by the auditor.',
    labels: [],
  },
  weir_audit_hours_total: { type: 'counter', help: 'Hours audited.', labels: [] },
  weir_audit_lag_seconds: {
    type: 'gauge',
    help: 'How far the end of the last audited hour is behind the clock.',
    labels: [],
  },
} as const satisfies Record<string, CounterSpec | GaugeSpec | HistogramSpec>

export type MetricName = keyof typeof METRICS
