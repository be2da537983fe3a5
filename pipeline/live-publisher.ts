/**
 * Tells live readers the newest state of windows, ahead of the flush. Rows are absolute and carry
 * the version that the table will have at least, so updates may be lost, repeated or reordered.
 * When nothing more fits, a beat is left out: windows keep changing and only their newest state
 * is published, which never delays a flush.
 */
import type { LogWriter } from '../platform/kafka/log.ts'
import type { AvroEncoder } from '../schemas/avro-codec.ts'
import { deviceKey, partitionOf } from '../schemas/topics.ts'
import type { Window, WindowUpdate } from '../schemas/window-update.ts'
import type { RollupRow } from './window/rollup-row.ts'

/** Keeps a record well below the broker's limit, texts included. */
const WINDOWS_PER_RECORD = 200

export type LivePublisherOptions = Readonly<{
  writer: LogWriter
  topic: string
  partitions: number
  encoder: AvroEncoder<WindowUpdate>
  published(windows: number): void
}>

export class LivePublisher {
  readonly #options: LivePublisherOptions

  constructor(options: LivePublisherOptions) {
    this.#options = options
  }

  hasRoom(): boolean {
    return this.#options.writer.hasRoom()
  }

  /** One record per device. Does not wait: the tables are the truth, this is only sooner. */
  publish(rows: readonly RollupRow[]): void {
    for (const [key, ofDevice] of byDevice(rows)) {
      for (let from = 0; from < ofDevice.length; from += WINDOWS_PER_RECORD) {
        this.#send(key, ofDevice.slice(from, from + WINDOWS_PER_RECORD))
      }
    }
    this.#options.published(rows.length)
  }

  #send(key: string, rows: readonly RollupRow[]): void {
    const { writer, topic, partitions, encoder } = this.#options
    const series = rows[0]?.series
    if (series === undefined) return
    const update = { tenant: series.tenant, device: series.device, windows: rows.map(windowOf) }
    const keyBytes = Buffer.from(key)
    const record = { key: keyBytes, value: encoder.encode(update) }
    // Rejects only when the writer is closed, and then the tables have it soon.
    writer.append(topic, partitionOf(keyBytes, partitions), record).catch(() => undefined)
  }
}

function byDevice(rows: readonly RollupRow[]): Map<string, RollupRow[]> {
  const groups = new Map<string, RollupRow[]>()
  let last: Readonly<{ series: RollupRow['series']; group: RollupRow[] }> | undefined
  for (const row of rows) {
    const { series } = row
    // The windows of one record follow each other.
    if (last?.series.device === series.device && last.series.tenant === series.tenant) {
      last.group.push(row)
      continue
    }
    const key = deviceKey(series.tenant, series.device)
    const group = groups.get(key) ?? []
    if (group.length === 0) groups.set(key, group)
    group.push(row)
    last = { series, group }
  }
  return groups
}

function windowOf({ series, resolutionMs, startMs, aggregate, ...row }: RollupRow): Window {
  return {
    metric: series.metric,
    kind: series.kind,
    resolutionMs,
    start: startMs,
    count: aggregate.count,
    sum: aggregate.sum,
    min: aggregate.min,
    max: aggregate.max,
    first: aggregate.first,
    last: aggregate.last,
    firstTs: aggregate.firstTsMs,
    lastTs: aggregate.lastTsMs,
    m2: aggregate.m2,
    integral: aggregate.integral,
    firstText: aggregate.firstText,
    lastText: aggregate.lastText,
    final: row.final,
    correctedAt: row.correctedAtMs,
    version: row.version,
  }
}
