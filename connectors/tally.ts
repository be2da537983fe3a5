/**
 * Counters for the hot path. A labelled prom-client counter costs more than decoding a small
 * packet, so connectors count in plain numbers and hand the sums to Metrics a few times a second.
 */
import type { Service } from '../platform/lifecycle/service.ts'
import type { Labels, MetricNameOf, Metrics } from '../platform/observe/metrics.ts'

/** One time series of one counter; callers just add to `count`. */
export type TallyCell = { count: number }

type Entry = Readonly<{ name: MetricNameOf<'counter'>; labels: Labels; cell: TallyCell }>
const FLUSH_INTERVAL_MS = 250

export class Tally implements Service {
  readonly name = 'tally'
  readonly failure = new Promise<never>(() => undefined)
  readonly #metrics: Metrics
  readonly #entries = new Map<string, Entry>()
  #timer: NodeJS.Timeout | undefined

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  /** The cell of a counter and its labels; the same one every time. Keep it, ask once. */
  cell(name: MetricNameOf<'counter'>, labels: Labels = {}): TallyCell {
    const key = `${name} ${JSON.stringify(labels)}`
    const known = this.#entries.get(key)
    if (known !== undefined) return known.cell
    const cell = { count: 0 }
    this.#entries.set(key, { name, labels, cell })
    return cell
  }

  flush(): void {
    for (const { name, labels, cell } of this.#entries.values()) {
      if (cell.count === 0) continue
      this.#metrics.add(name, cell.count, labels)
      cell.count = 0
    }
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => this.flush(), FLUSH_INTERVAL_MS)
    this.#timer.unref()
  }

  async drain(): Promise<void> {
    clearInterval(this.#timer)
    this.flush()
  }
}
