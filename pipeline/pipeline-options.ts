/** Options of the pipeline process, and how they must fit together. */
import type { OptionTable, OptionValues } from '../platform/config/options.ts'
import {
  CLICKHOUSE_OPTIONS,
  KAFKA_OPTIONS,
  RETENTION_OPTIONS,
} from '../platform/config/shared-options.ts'
import { retentionContradictions } from '../schemas/telemetry.ts'
import { GUARD_OPTIONS } from './dead-letters/guard-options.ts'

const MIB = 1024 * 1024

export const PIPELINE_OPTIONS = {
  ...KAFKA_OPTIONS,
  ...CLICKHOUSE_OPTIONS,
  ...RETENTION_OPTIONS,
  ...GUARD_OPTIONS,
  flushIntervalMs: {
    kind: 'integer',
    default: 1_000,
    min: 10,
    max: 60_000,
    unit: 'ms',
    doc: 'How often rows are written to ClickHouse and positions committed.',
  },
  flushBytes: {
    kind: 'integer',
    default: 16 * MIB,
    min: MIB,
    max: 512 * MIB,
    unit: 'bytes',
    doc: 'Waiting rows that start a flush before its time.',
  },
  flushQueuedBytesMax: {
    kind: 'integer',
    default: 64 * MIB,
    min: MIB,
    max: 4096 * MIB,
    unit: 'bytes',
    doc: 'Waiting rows at which reading from Kafka pauses until ClickHouse has taken some.',
  },
  latenessMs: {
    kind: 'integer',
    default: 15_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    doc: 'How far behind the newest event time a window stays open. Later samples are corrections.',
  },
  tickIntervalMs: {
    kind: 'integer',
    default: 5_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'How often a partition is told that time passes, so that silent devices get final rows.',
  },
  liveIntervalMs: {
    kind: 'integer',
    default: 100,
    min: 10,
    max: 10_000,
    unit: 'ms',
    doc: 'How often changed windows are published to live readers.',
  },
  liveQueuedBytesMax: {
    kind: 'integer',
    default: 16 * MIB,
    min: 64 * 1024,
    max: 1024 * MIB,
    unit: 'bytes',
    doc: 'Live updates waiting for Kafka at which further ones are merged instead.',
  },
  idleSeriesMax: {
    kind: 'integer',
    default: 200_000,
    min: 1_000,
    max: 100_000_000,
    doc: 'Series of a partition remembered while they are silent.',
  },
} as const satisfies OptionTable

export type PipelineOptions = OptionValues<typeof PIPELINE_OPTIONS>

/** Sentences about options that contradict each other. */
export function contradictions(options: PipelineOptions): string[] {
  const problems: string[] = []
  if (options.flushBytes > options.flushQueuedBytesMax) {
    problems.push('flushBytes must not be more than flushQueuedBytesMax.')
  }
  return [...problems, ...retentionContradictions(options)]
}
