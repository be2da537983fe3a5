/**
 * Audits every hour once it is closed and counted, by itself and after everybody else: the proof
 * is made while nobody asks. Missed hours are caught up with, oldest first, as far as the log
 * reaches back. An hour that the pipeline has not counted yet is waited for, never judged by halves.
 */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Service } from '../../platform/lifecycle/service.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import { TELEMETRY } from '../../schemas/topics.ts'
import { atMost, type Timers } from '../timers.ts'
import { lastAuditedMs, writeAuditHours } from './audit-hours.ts'
import { totalOf } from './audit-report.ts'
import { type AuditPorts, type AuditRange, type AuditResult, runAudit } from './audit-run.ts'
import { HOUR_MS } from './hour-tally.ts'
import { firstBusyHour, hourOf, readCut } from './log/log-cut.ts'

type AuditorSettings = Readonly<{
  topicPrefix: string
  acceptedAgeMs: number
  logRetentionMs: number
  /** How long after its end an hour is audited, at the earliest. */
  delayMs: number
  /** Missed hours of one reading. */
  hoursMax: number
}> &
  Pick<AuditRange, 'share' | 'seriesMin' | 'sliceSamples'>

type AuditorParts = Readonly<{
  ports: Omit<AuditPorts, 'signal'>
  clickhouse: Clickhouse
  clock: Clock
  timers: Timers
  logger: Logger
  metrics: Metrics
}>

/** Between looks at the clock and at what is committed. */
const LOOK_MS = 20_000

export class Auditor implements Service {
  readonly name = 'auditor'
  /** What goes wrong is the world's, is told, and is tried again: it never ends by itself. */
  readonly failure = new Promise<never>(() => {})
  readonly #parts: AuditorParts
  readonly #settings: AuditorSettings
  readonly #topic: string
  readonly #ending = new AbortController()
  #life: Promise<void> = Promise.resolve()
  #trouble: string | undefined

  constructor(parts: AuditorParts, settings: AuditorSettings) {
    this.#parts = parts
    this.#settings = settings
    this.#topic = settings.topicPrefix + TELEMETRY.name
  }

  async start(): Promise<void> {
    this.#life = this.#live()
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#ending.abort()
    await atMost(this.#parts.timers, deadlineMs, this.#life)
  }

  notReady(): string | undefined {
    return this.#trouble
  }

  async #live(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      let more = false
      try {
        more = await this.step()
        this.#trouble = undefined
      } catch (error) {
        if (signal.aborted) return
        this.#trouble = error instanceof Error ? error.message : String(error)
        this.#parts.logger.error('an hour could not be audited, trying again', { error })
      }
      if (!more) await this.#pause(LOOK_MS)
    }
  }

  /** Audits the next closed hours. False when there is nothing to do now. */
  async step(): Promise<boolean> {
    const { clock, clickhouse, metrics } = this.#parts
    const { delayMs, hoursMax, logRetentionMs } = this.#settings
    const nowMs = clock.nowMs()
    const closedMs = hourOf(nowMs - delayMs)
    const last = await lastAuditedMs(clickhouse)
    const reachesMs = hourOf(nowMs - logRetentionMs)
    const sinceMs = Math.max(last === undefined ? 0 : last + HOUR_MS, reachesMs)
    if (sinceMs >= closedMs) return false
    const busy = { topic: this.#topic, fromMs: sinceMs, toMs: closedMs }
    const fromMs = await firstBusyHour(this.#parts.ports.admin, busy)
    metrics.set('weir_audit_lag_seconds', Math.max(0, nowMs - fromMs) / 1000)
    const toMs = Math.min(fromMs + hoursMax * HOUR_MS, closedMs)
    if (fromMs >= toMs || !(await this.#isCounted(fromMs, toMs))) return false
    const result = await this.#audit({ fromMs, toMs, nowMs })
    await writeAuditHours(clickhouse, result, clock.nowMs())
    this.#tell(result)
    metrics.set('weir_audit_lag_seconds', Math.max(0, nowMs - toMs) / 1000)
    return toMs < closedMs
  }

  #audit(range: Readonly<{ fromMs: number; toMs: number; nowMs: number }>): Promise<AuditResult> {
    const ports = { ...this.#parts.ports, signal: this.#ending.signal }
    return runAudit(ports, { ...this.#settings, ...range, tenant: undefined }, () => {})
  }

  /** Whether all that arrived is committed, and its windows are closed: ticks close silent ones. */
  async #isCounted(fromMs: number, toMs: number): Promise<boolean> {
    const group = `${this.#settings.topicPrefix}rollup`
    const what = { topic: this.#topic, group, fromMs, toMs }
    const cut = await readCut(this.#parts.ports.admin, what)
    if (cut.openRecords > 0) return false
    const used = [...cut.partitions.values()].filter(({ span }) => span.to > span.from)
    return used.every(({ closedToMs }) => closedToMs >= toMs)
  }

  #tell({ cut, tallies, findings, findingCount }: AuditResult): void {
    const { metrics, logger } = this.#parts
    const total = totalOf(tallies)
    metrics.add('weir_audit_hours_total', cut.hoursMs.length)
    metrics.add('weir_rollup_audit_mismatch_total', total.windowsWrong)
    metrics.add('weir_audit_windows_total', total.windowsChecked)
    const { stored, duplicates, refused, missing, invented, altered } = total
    const outcomes = { stored, duplicates, refused, missing, invented, altered }
    for (const [outcome, samples] of Object.entries(outcomes)) {
      metrics.add('weir_audit_samples_total', samples, { outcome })
    }
    metrics.add('weir_audit_letters_missing_total', total.lettersMissing)
    metrics.add('weir_audit_numbers_missing_total', total.numbersMissing)
    const hours = { fromMs: cut.fromMs, toMs: cut.toMs, stored, windows: total.windowsChecked }
    if (findingCount === 0) logger.info('audited, nothing found', hours)
    for (const { tenant, text } of findings) logger.error('audit finding', { tenant, text })
  }

  /** Ends early when the service is asked to end. */
  async #pause(delayMs: number): Promise<void> {
    const { signal } = this.#ending
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.timers.after(delayMs, resolve)
      signal.addEventListener('abort', () => (cancel(), resolve()), { once: true })
    })
  }
}
