/**
 * The books of an audit: one page for each tenant and hour of arrival, and what was found wrong.
 * An hour is the hour in which Kafka appended the records, so a closed hour never grows again.
 *
 *   produced = stored + duplicates + refused + missing - invented
 *
 * Every figure comes from content (the log, the dead letters, the tables), none from a counter.
 */
export const HOUR_MS = 3_600_000

export type HourTally = {
  readonly tenant: string
  readonly hourMs: number
  /** Telemetry records of devices; ticks are not counted. */
  records: number
  /** Records that cannot be read at all; their samples are nowhere. */
  unreadable: number
  /** Samples found in the records. */
  produced: number
  /** Samples whose series and time an earlier delivery had already. */
  duplicates: number
  /** Samples not stored because their record is in the dead letters. */
  refused: number
  /** Rows of the raw table that name a record of this hour as their origin. */
  stored: number
  /** Samples that are in the log and neither stored nor in the dead letters. */
  missing: number
  /** Rows of the raw table that the record they name does not hold. */
  invented: number
  /** Rows whose value is not the one of the earliest delivery. */
  altered: number
  /** Refused records without a dead letter. */
  lettersMissing: number
  /** Dead letters by reason: records of this hour, and messages the edge refused in it. */
  readonly deadLetters: Map<string, number>
  /** Windows whose newest row is a correction made by a record of this hour. */
  corrected: number
  seriesChecked: number
  windowsChecked: number
  /** Rollup rows that are wrong, absent, or without samples. */
  windowsWrong: number
  /** Messages that devices numbered, and numbers between them that never came. */
  numbersPresent: number
  numbersMissing: number
}

export const emptyTally = (tenant: string, hourMs: number): HourTally => ({
  tenant,
  hourMs,
  records: 0,
  unreadable: 0,
  produced: 0,
  duplicates: 0,
  refused: 0,
  stored: 0,
  missing: 0,
  invented: 0,
  altered: 0,
  lettersMissing: 0,
  deadLetters: new Map(),
  corrected: 0,
  seriesChecked: 0,
  windowsChecked: 0,
  windowsWrong: 0,
  numbersPresent: 0,
  numbersMissing: 0,
})

/** By how much the equation does not hold: not zero would be a defect of the audit itself. */
export const imbalance = (t: HourTally): number =>
  t.produced + t.invented - t.stored - t.duplicates - t.refused - t.missing

type FindingKind =
  | 'sample_missing'
  | 'sample_invented'
  | 'sample_altered'
  | 'letter_missing'
  | 'window_wrong'
  | 'window_absent'
  | 'window_invented'
  | 'number_missing'
  | 'acknowledged_missing'
  | 'ledger_unknown'
  | 'unbalanced'

type SeriesName = Readonly<{ device: string; metric: string; kind: string }>

/** One thing that is wrong, with all it takes to look at it. */
export type Finding = Readonly<{
  kind: FindingKind
  tenant: string
  hourMs: number
  /** What is wrong, as a sentence. */
  text: string
  series?: string | SeriesName
  resolutionMs?: number
  startMs?: number
  expected?: unknown
  found?: unknown
}>

/** A time in a sentence. */
export const timeText = (ms: number): string => new Date(ms).toISOString()

/** Findings kept of one kind, tenant and hour: the tallies count all of them. */
const KEPT_MAX = 20

/** Tallies by tenant and hour, and the first findings of each kind. */
export class AuditBooks {
  readonly findings: Finding[] = []
  readonly #tallies = new Map<string, HourTally>()
  readonly #found = new Map<string, number>()
  #last: HourTally | undefined

  tally(tenant: string, hourMs: number): HourTally {
    // Asked for once a sample, and mostly for the same page.
    const last = this.#last
    if (last?.hourMs === hourMs && last.tenant === tenant) return last
    const key = `${hourMs} ${tenant}`
    let tally = this.#tallies.get(key)
    if (tally === undefined) {
      tally = emptyTally(tenant, hourMs)
      this.#tallies.set(key, tally)
    }
    this.#last = tally
    return tally
  }

  /** By hour, then tenant. */
  tallies(): readonly HourTally[] {
    return [...this.#tallies.values()].sort(
      (a, b) => a.hourMs - b.hourMs || (a.tenant < b.tenant ? -1 : 1),
    )
  }

  add(finding: Finding): void {
    const key = `${finding.kind} ${finding.hourMs} ${finding.tenant}`
    const count = (this.#found.get(key) ?? 0) + 1
    this.#found.set(key, count)
    if (count <= KEPT_MAX) this.findings.push(finding)
  }

  /** All findings, those beyond the kept ones too. */
  get findingCount(): number {
    let count = 0
    for (const each of this.#found.values()) count += each
    return count
  }

  /** Closes the books: an equation that does not hold is a finding. */
  close(): void {
    for (const tally of this.tallies()) {
      const by = imbalance(tally)
      if (by === 0) continue
      const { tenant, hourMs, produced, stored, duplicates, refused } = tally
      const text =
        `the books do not balance by ${by}: ${produced} produced, ${stored} stored, ` +
        `${duplicates} duplicates, ${refused} refused`
      this.add({ kind: 'unbalanced', tenant, hourMs, text })
    }
  }
}
