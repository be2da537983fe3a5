/**
 * Tells live readers the newest state of windows, ahead of the flush. Rows are absolute and carry
 * the version that the table will have at least, so updates may be lost, repeated or reordered.
 * When nothing more fits, a beat is left out: windows keep changing and only their newest state
 * is published, which never delays a flush.
 */
import type { LogWriter } from '../platform/kafka/log.ts'
import { deviceKey, partitionOf } from '../schemas/topics.ts'
import type { WindowUpdateEncoder } from '../schemas/window-update-writer.ts'
import type { RollupRows, RowRange } from './window/rollup-row.ts'
import type { Series } from './window/series.ts'

/** Keeps a record well below the broker's limit, texts included. */
const WINDOWS_PER_RECORD = 200

export type LivePublisherOptions = Readonly<{
  writer: LogWriter
  topic: string
  partitions: number
  encoder: WindowUpdateEncoder
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
    const keyBytes = Buffer.from(key)
    const value = encoder.encode(series.tenant, series.device, rows)
    const record = { key: keyBytes, value }
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
