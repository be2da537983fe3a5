/**
 * Tells a flood of unreadable records from the odd one. A bad release, of a writer or of ours, would
 * empty a whole topic into the dead letters; here the partition stops at the record that is one too
 * many, and waits for a person. Pure counting, per partition.
 *
 * Only failures of frame, schema and decoding count: a device that sends old or skewed samples must
 * not stop a partition for everybody.
 */
import type { DeadLetterStage } from '../../schemas/dead-letter.ts'

export type BreakerLimits = Readonly<{
  /** The share of unreadable records that is still let through; 100 switches the breaker off. */
  invalidPercentMax: number
  /** Nothing is judged before so many records. */
  recordsMin: number
}>

export const BREAKER_RECORDS_MIN = 1_000

export const countsForBreaker = (stage: DeadLetterStage): boolean =>
  stage === 'frame' || stage === 'schema' || stage === 'decode'

export class InvalidBreaker {
  readonly #limits: BreakerLimits
  #records = 0
  #invalid = 0

  constructor(limits: BreakerLimits) {
    this.#limits = limits
  }

  /** So many records were readable. */
  passed(records: number): void {
    this.#records += records
    this.#forget()
  }

  /**
   * Judges an unreadable record. False: it may be dead-lettered, and counts. True: it is one too
   * many, and must not be passed; it does not count, so that asking again answers the same.
   */
  refuses(): boolean {
    const { recordsMin, invalidPercentMax } = this.#limits
    const [records, invalid] = [this.#records + 1, this.#invalid + 1]
    if (records >= recordsMin && invalid * 100 > records * invalidPercentMax) return true
    this.#records = records
    this.#invalid = invalid
    this.#forget()
    return false
  }

  /** Begins anew: somebody has looked. */
  reset(): void {
    this.#records = 0
    this.#invalid = 0
  }

  /** The older half fades, so that a month of good records does not hide a minute of bad ones. */
  #forget(): void {
    while (this.#records >= 2 * this.#limits.recordsMin) {
      this.#records /= 2
      this.#invalid /= 2
    }
  }
}
