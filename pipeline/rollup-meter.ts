/** What the rollup service says about itself, in the words of the metric catalogue. */
import type { Metrics } from '../platform/observe/metrics.ts'
import type { PartitionRunner } from './partition-runner.ts'
import { type FoldCounts, noCounts } from './window/partition-fold.ts'
import type { RowTotals, SettleTotals } from './write-flush.ts'

export class RollupMeter {
  readonly #metrics: Metrics
  /** What was reported of each runner's fold so far. */
  readonly #reported = new WeakMap<PartitionRunner, FoldCounts>()

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  took(runner: PartitionRunner, nowMs: number): void {
    const { counts } = runner.fold
    const before = this.#reported.get(runner) ?? noCounts()
    const metrics = this.#metrics
    metrics.add('weir_pipeline_records_total', counts.records - before.records)
    metrics.add('weir_pipeline_samples_total', counts.samples - before.samples)
    const replayed = counts.replayedRecords - before.replayedRecords
    metrics.add('weir_pipeline_replayed_records_total', replayed)
    const duplicates = counts.duplicateSamples - before.duplicateSamples
    metrics.add('weir_pipeline_duplicate_samples_total', duplicates)
    metrics.add(
      'weir_pipeline_refused_samples_total',
      counts.refusedSamples - before.refusedSamples,
    )
    this.#late(counts.lateSamples, before.lateSamples)
    this.#reported.set(runner, { ...counts, lateSamples: { ...counts.lateSamples } })
    const oldestEndMs = runner.fold.takeOldestClosedEndMs()
    if (oldestEndMs === undefined) return
    metrics.observe('weir_window_close_delay_seconds', (nowMs - oldestEndMs) / 1000)
  }

  #late(late: FoldCounts['lateSamples'], before: FoldCounts['lateSamples']): void {
    const beforeOf = new Map(Object.entries(before))
    for (const [behind, samples] of Object.entries(late)) {
      const more = samples - (beforeOf.get(behind) ?? 0)
      this.#metrics.add('weir_pipeline_late_samples_total', more, { behind })
    }
  }

  forget(runner: PartitionRunner): void {
    this.#reported.delete(runner)
    this.#metrics.set('weir_pipeline_open_windows', 0, { partition: runner.partition })
  }

  watermark(runner: PartitionRunner, nowMs: number): void {
    const { partition, fold } = runner
    const labels = { partition }
    this.#metrics.set('weir_pipeline_open_windows', fold.openWindowCount, labels)
    if (fold.maxTsMs === 0) return
    const lagSeconds = (nowMs - fold.maxTsMs) / 1000
    this.#metrics.set('weir_pipeline_watermark_lag_seconds', lagSeconds, labels)
  }

  queued(bytes: number): void {
    this.#metrics.set('weir_pipeline_queued_bytes', bytes)
  }

  flushed(totals: RowTotals, tookMs: number): void {
    this.#metrics.observe('weir_pipeline_flush_seconds', tookMs / 1000)
    this.#metrics.add('weir_pipeline_rollup_rows_total', totals.rollups)
  }

  settled(totals: SettleTotals, tookMs: number): void {
    this.#metrics.observe('weir_pipeline_settle_seconds', tookMs / 1000)
    this.#metrics.add('weir_pipeline_corrections_total', totals.corrections)
    this.#metrics.add('weir_pipeline_cascaded_rows_total', totals.cascaded)
  }

  unpublished(windows: number): void {
    this.#metrics.add('weir_pipeline_live_skipped_total', windows)
  }

  sinkRetried(): void {
    this.#metrics.add('weir_pipeline_sink_retries_total')
  }

  paused(partition: number, reason: string, isPaused: boolean): void {
    this.#metrics.set('weir_pipeline_partition_paused', isPaused ? 1 : 0, { partition, reason })
  }

  deadLettered(reason: string): void {
    this.#metrics.add('weir_pipeline_dead_letters_total', 1, { reason })
  }
}
