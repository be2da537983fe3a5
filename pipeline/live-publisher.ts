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
import type { RollupRows, RowRange } from './window/rollup-row.ts'
import type { Series } from './window/series.ts'

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
  publish(ranges: readonly RowRange[]): void {
    let published = 0
    for (const [key, rows] of byDevice(ranges)) {
      for (let from = 0; from < rows.length; from += WINDOWS_PER_RECORD) {
        this.#send(key, rows.slice(from, from + WINDOWS_PER_RECORD))
      }
      published += rows.length
    }
    if (published > 0) this.#options.published(published)
  }

  #send(key: string, rows: readonly RowPlace[]): void {
    const { writer, topic, partitions, encoder } = this.#options
    const series = rows[0]?.rows.series[rows[0].row]
    if (series === undefined) return
    const update = { tenant: series.tenant, device: series.device, windows: rows.map(windowOf) }
    const keyBytes = Buffer.from(key)
    const record = { key: keyBytes, value: encoder.encode(update) }
    // Rejects only when the writer is closed, and then the tables have it soon.
    writer.append(topic, partitionOf(keyBytes, partitions), record).catch(() => undefined)
  }
}

type RowPlace = Readonly<{ rows: RollupRows; row: number }>

function byDevice(ranges: readonly RowRange[]): Map<string, RowPlace[]> {
  const groups = new Map<string, RowPlace[]>()
  let last: Readonly<{ series: Series; group: RowPlace[] }> | undefined
  for (const { rows, from, to } of ranges) {
    for (let row = from; row < to; row += 1) {
      const series = rows.series[row]
      if (series === undefined) continue
      // The windows of one record often follow each other.
      if (last?.series.device !== series.device || last.series.tenant !== series.tenant) {
        const key = deviceKey(series.tenant, series.device)
        const group = groups.get(key) ?? []
        if (group.length === 0) groups.set(key, group)
        last = { series, group }
      }
      last.group.push({ rows, row })
    }
  }
  return groups
}

function windowOf({ rows, row }: RowPlace): Window {
  const series = rows.series[row]
  return {
    metric: series?.metric ?? '',
    kind: series?.kind ?? 'number',
    resolutionMs: rows.resolutionMs,
    start: rows.startsMs[row] ?? 0,
    count: rows.counts[row] ?? 0,
    sum: rows.sums[row] ?? 0,
    min: rows.mins[row] ?? 0,
    max: rows.maxs[row] ?? 0,
    first: rows.firsts[row] ?? 0,
    last: rows.lasts[row] ?? 0,
    firstTs: rows.firstTsMs[row] ?? 0,
    lastTs: rows.lastTsMs[row] ?? 0,
    m2: rows.m2s[row] ?? 0,
    integral: rows.integrals[row] ?? 0,
    firstText: rows.firstTexts.get(row) ?? '',
    lastText: rows.lastTexts.get(row) ?? '',
    final: rows.finals[row] === 1,
    correctedAt: rows.correctedAtMs[row] ?? 0,
    version: rows.versions[row] ?? 0,
  }
}
