/**
 * The one fold from samples to a rollup row. Live windows and late corrections both come through
 * here, with the samples in the order of their times, so that every bit of a row (floating-point
 * sums included) depends on nothing but the set of samples.
 */
export class Aggregate {
  count = 0
  sum = 0
  min = 0
  max = 0
  first = 0
  last = 0
  firstTsMs = 0
  lastTsMs = 0
  /** Running mean of Welford's method. Not stored: a row is never folded further. */
  mean = 0
  /** Sum of squared distances from the mean. */
  m2 = 0
  /** Trapezoids between neighbouring samples, in value x ms; nothing before first, after last. */
  integral = 0
  firstText = ''
  lastText = ''

  /** Adds a number or a boolean (0 or 1). Its time must lie after that of every earlier sample. */
  addNumber(tsMs: number, value: number): void {
    if (this.count === 0) {
      this.first = value
      this.firstTsMs = tsMs
      this.min = value
      this.max = value
    } else {
      this.integral += ((this.last + value) / 2) * (tsMs - this.lastTsMs)
      if (value < this.min) this.min = value
      if (value > this.max) this.max = value
    }
    this.count += 1
    this.sum += value
    const distance = value - this.mean
    this.mean += distance / this.count
    this.m2 += distance * (value - this.mean)
    this.last = value
    this.lastTsMs = tsMs
  }

  /** Adds a text, which has a count, a first and a last, and no arithmetic. */
  addText(tsMs: number, text: string): void {
    if (this.count === 0) {
      this.firstText = text
      this.firstTsMs = tsMs
    }
    this.count += 1
    this.lastText = text
    this.lastTsMs = tsMs
  }

  copy(): Aggregate {
    // Field by field: Object.assign costs ten times as much, and live updates copy every window.
    const copy = new Aggregate()
    copy.count = this.count
    copy.sum = this.sum
    copy.min = this.min
    copy.max = this.max
    copy.first = this.first
    copy.last = this.last
    copy.firstTsMs = this.firstTsMs
    copy.lastTsMs = this.lastTsMs
    copy.mean = this.mean
    copy.m2 = this.m2
    copy.integral = this.integral
    copy.firstText = this.firstText
    copy.lastText = this.lastText
    return copy
  }
}
