/**
 * GET /v1/audit?from&to: what the auditor found in each hour of arrival (the hour in which Kafka
 * took the records) that begins in [from, to). An hour in which nothing of the tenant arrived is
 * absent.
 *
 *   produced = stored + duplicates + refused + missing - invented
 */
export type AuditFigures = {
  records: number
  /** Records that cannot be read at all; each has a dead letter. */
  unreadable: number
  /** Samples in the log. */
  produced: number
  /** Rows of the raw table that come from them. */
  stored: number
  /** Samples whose series and time an earlier delivery had already. */
  duplicates: number
  /** Samples whose record is in the dead letters. */
  refused: number
  /** Samples in the log that are neither stored nor in the dead letters. */
  missing: number
  /** Rows that the record they come from does not hold. */
  invented: number
  /** Rows that do not hold what the first delivery said. */
  altered: number
  /** Refused records without a dead letter. */
  lettersMissing: number
  /** Dead letters by reason: of records, and of messages that the edge refused. */
  deadLetters: Record<string, number>
  /** Windows corrected by late samples. */
  corrected: number
  /** Series whose windows were folded again, those windows, and how many of their rows were wrong. */
  seriesChecked: number
  windowsChecked: number
  windowsWrong: number
  /** Messages that devices numbered, and numbers between them that never came. */
  numbersPresent: number
  numbersMissing: number
  /** All that is wrong, summed up; 0 is what it should be. */
  findingCount: number
}

export type AuditHour = AuditFigures & {
  /** Start of the hour. */
  hour: number
  auditedAt: number
  /** False where the log had lost the beginning of the hour already. */
  whole: boolean
  /** The first findings, as sentences. */
  findings: string[]
}

export type Audit = {
  items: AuditHour[]
  /** Sums of the items. */
  totals: AuditFigures
  /** Hours before it are audited; null while none is. */
  auditedTo: number | null
}
