/** A flush without rows, for tests of when flushes are written and in which order they settle. */
import { freshCheckpoint } from '../window/checkpoint.ts'
import { LateMarks } from '../window/fold-snapshot.ts'
import { RawRows } from '../window/raw-rows.ts'
import type { PartitionFlush } from '../write-flush.ts'

export const emptyFlush = (
  partition: number,
  commit: () => Promise<boolean>,
  deadLetters: Promise<unknown> = Promise.resolve(),
): PartitionFlush => ({
  snapshot: {
    partition,
    newSeries: [],
    messages: [],
    raw: new RawRows(partition),
    rollups: [],
    late: new LateMarks(),
    oldestLateAppendMs: Infinity,
    correctionVersion: 1,
    correctedAtMs: 0,
    cascadedToMs: 0,
    checkpoint: freshCheckpoint(0),
  },
  deadLetters,
  commit,
})
