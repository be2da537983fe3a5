/**
 * Metrics by name from the catalogue, on prom-client. A name that is not in metric-catalogue.ts
 * does not compile, and docs/METRICS.md is tested against that list.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { METRICS, type MetricName } from './metric-catalogue.ts'

export type MetricNameOf<T extends 'counter' | 'gauge' | 'histogram'> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never
}[MetricName]

export type Labels = Readonly<Record<string, string | number>>

/** One process's metrics. Every catalogue entry exists from the start, so dashboards see zeros. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #counters = new Map<string, Counter>()
  readonly #gauges = new Map<string, Gauge>()
  readonly #histograms = new Map<string, Histogram>()

  constructor(options: Readonly<{ role: string; processMetrics: boolean }>) {
    this.#registry.setDefaultLabels({ role: options.role })
    if (options.processMetrics) collectDefaultMetrics({ register: this.#registry })
    for (const [name, spec] of Object.entries(METRICS)) {
      const common = {
        name,
        help: spec.help,
        labelNames: [...spec.labels],
        registers: [this.#registry],
      }
      if (spec.type === 'counter') this.#counters.set(name, new Counter(common))
      else if (spec.type === 'gauge') this.#gauges.set(name, new Gauge(common))
      else this.#histograms.set(name, new Histogram({ ...common, buckets: [...spec.buckets] }))
    }
  }

  add(name: MetricNameOf<'counter'>, amount = 1, labels: Labels = {}): void {
    this.#counters.get(name)?.inc({ ...labels }, amount)
  }

  set(name: MetricNameOf<'gauge'>, value: number, labels: Labels = {}): void {
    this.#gauges.get(name)?.set({ ...labels }, value)
  }

  /** In the unit that the metric's name ends with: callers convert milliseconds to seconds. */
  observe(name: MetricNameOf<'histogram'>, value: number, labels: Labels = {}): void {
    this.#histograms.get(name)?.observe({ ...labels }, value)
  }

  /** Prometheus text exposition format 0.0.4. */
  async expose(): Promise<Readonly<{ contentType: string; body: string }>> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() }
  }
}
