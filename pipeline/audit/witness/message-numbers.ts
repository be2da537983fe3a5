/**
 * The witness that devices carry: the numbers they give their messages, each one more than the
 * last. A number that is not there, between two that are, was given to a message that never came.
 * Pure.
 *
 * A counter that starts again begins a new run: one that goes further back than messages in flight
 * can overtake each other, or that comes to 0 or 1 a second time. What is redelivered after a
 * reconnect begins a run as well, and no gap, because it is the rest up to the newest number. A
 * number that falls into a gap of its run fills it, however late: devices send backlogs.
 */

/** More than a session may have in flight (Receive Maximum). */
const OVERTAKEN_MAX = 64

export type NumberedMessage = Readonly<{ seq: number; tsMs: number }>
/** Numbers first to last, both included, that never came. */
type NumberGap = Readonly<{ first: number; last: number; beforeMs: number; afterMs: number }>
export type NumberReport = {
  /** Of the newest run. */
  first: number
  last: number
  present: number
  missing: number
  runs: number
  gaps: NumberGap[]
}

const GAPS_MAX = 20
/** Gaps that a late number can still fill; the oldest beyond it are final. */
const OPEN_GAPS_MAX = 1_000

/** The numbers of one device, in the order of their times. */
export class NumberWitness {
  readonly #report: NumberReport = {
    first: -1,
    last: -1,
    present: 0,
    missing: 0,
    runs: 0,
    gaps: [],
  }
  /** Below it gaps were judged when the hours before were. */
  readonly #fromMs: number
  /** Of the run, oldest first. */
  readonly #open: NumberGap[] = []
  #run = new Map<number, number>()
  #max = -1

  constructor(fromMs: number) {
    this.#fromMs = fromMs
  }

  add({ seq, tsMs }: NumberedMessage): void {
    if (this.#fills(seq)) return this.#count(seq, tsMs)
    const isRepeat = seq <= 1 && seq < this.#max && this.#run.has(seq)
    if (isRepeat || this.#max - seq > OVERTAKEN_MAX) this.#endRun()
    if (!this.#run.has(seq)) this.#run.set(seq, tsMs)
    if (seq > this.#max) this.#max = seq
    // What can still be overtaken stays; a device that never starts again must not fill memory.
    if (this.#run.size > 4 * OVERTAKEN_MAX) this.#settle(this.#max - OVERTAKEN_MAX)
  }

  end(): NumberReport {
    this.#endRun()
    return this.#report
  }

  #endRun(): void {
    if (this.#run.size === 0) return
    this.#settle(Infinity)
    for (const gap of this.#open.splice(0)) this.#tell(gap)
    this.#report.runs += 1
    this.#run = new Map()
    this.#max = -1
  }

  /** Judges the numbers below `to`, and keeps the last of them as the neighbour of the next. */
  #settle(to: number): void {
    const entries = [...this.#run].filter(([seq]) => seq < to).sort(([a], [b]) => a - b)
    for (const [index, [seq, tsMs]] of entries.entries()) {
      const before = entries[index - 1]
      if (before !== undefined) this.#gap(before, [seq, tsMs])
      if (index === entries.length - 1 && to !== Infinity) return
      this.#run.delete(seq)
      this.#count(seq, tsMs)
    }
  }

  #count(seq: number, tsMs: number): void {
    if (tsMs < this.#fromMs) return
    if (this.#report.present === 0) this.#report.first = seq
    this.#report.present += 1
    this.#report.last = seq
  }

  #gap([before, beforeMs]: Entry, [seq, afterMs]: Entry): void {
    if (seq - before <= 1 || afterMs < this.#fromMs) return
    if (this.#open.length >= OPEN_GAPS_MAX) this.#tell(this.#open.shift())
    this.#open.push({ first: before + 1, last: seq - 1, beforeMs, afterMs })
  }

  /** Whether the number lies in a gap that is still open; it is taken out of it. */
  #fills(seq: number): boolean {
    const at = this.#open.findIndex(({ first, last }) => seq >= first && seq <= last)
    const gap = this.#open[at]
    if (gap === undefined) return false
    const left = { ...gap, last: seq - 1 }
    const right = { ...gap, first: seq + 1 }
    this.#open.splice(at, 1, ...[left, right].filter(({ first, last }) => first <= last))
    return true
  }

  #tell(gap: NumberGap | undefined): void {
    if (gap === undefined) return
    this.#report.missing += gap.last - gap.first + 1
    if (this.#report.gaps.length < GAPS_MAX) this.#report.gaps.push(gap)
  }
}

/** A number and its time. */
type Entry = readonly [seq: number, tsMs: number]
