/**
 * What the tables said of some windows before anything was read that their rows are made of. A row
 * that is written again takes the offset of the version seen here, never a newer one: whatever the
 * pipeline writes meanwhile has a higher version, and wins.
 */
import { Failure } from '../../platform/failure.ts'
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { RowFold } from '../sinks/rollup-sink.ts'
import type { RollupRow } from '../window/rollup-row.ts'
import type { SeriesRef } from '../window/series.ts'
import { seriesIdAsBigint } from '../window/series-id.ts'
import { FOLD_EPOCH, versionOf } from '../window/window-version.ts'
import { contentDigest } from './content-digest.ts'

const FOLD_EPOCHS = 256

type Stored = {
  version: number
  correctedAtMs: number
  final: boolean
  digest: string
  met: boolean
}

export type Verdict =
  | Readonly<{ kind: 'unchanged' | 'open' }>
  | Readonly<{ kind: 'rewrite' | 'add'; version: number; correctedAtMs: number }>

export const windowKey = (series: SeriesRef, startMs: number): string =>
  `${series.tenant} ${seriesIdAsBigint(series.id)} ${startMs}`

export class StoredWindows implements RowFold {
  readonly #rows = new Map<string, Stored>()
  readonly #wanted: (row: RollupRow<SeriesRef>) => boolean

  constructor(wanted: (row: RollupRow<SeriesRef>) => boolean) {
    this.#wanted = wanted
  }

  add(row: RollupRow<SeriesRef>): void {
    if (!this.#wanted(row)) return
    const { series, startMs, aggregate, final, correctedAtMs, version } = row
    const digest = contentDigest(aggregate)
    this.#rows.set(windowKey(series, startMs), {
      version,
      correctedAtMs,
      final,
      digest,
      met: false,
    })
  }

  async relieve(): Promise<void> {}

  /**
   * What to do with a window whose content is this. `newestOffset` is the largest that its content
   * is made of, for a window that has no row yet.
   */
  judge(key: string, content: WindowPart, newestOffset: number): Verdict {
    const stored = this.#rows.get(key)
    if (stored === undefined) {
      return { kind: 'add', version: versionOf(newestOffset, FOLD_EPOCH), correctedAtMs: 0 }
    }
    stored.met = true
    if (!stored.final) return { kind: 'open' }
    if (stored.digest === contentDigest(content)) return { kind: 'unchanged' }
    const { version, correctedAtMs } = stored
    return { kind: 'rewrite', version: reprocessedVersion(version), correctedAtMs }
  }

  /** Rows that nothing was found for: their samples are gone, and they stay as they are. */
  get unmet(): number {
    let unmet = 0
    for (const { met } of this.#rows.values()) if (!met) unmet += 1
    return unmet
  }
}

/** The same offset, and a fold epoch above the one that the row was written under. */
export function reprocessedVersion(version: number): number {
  const foldEpoch = Math.max(FOLD_EPOCH, (version % FOLD_EPOCHS) + 1)
  if (foldEpoch < FOLD_EPOCHS) return versionOf(offsetOf(version), foldEpoch)
  throw new Failure('limit_exceeded', 'a window was reprocessed 255 times: no fold epoch is left')
}

export const offsetOf = (version: number): number => Math.floor(version / FOLD_EPOCHS)
