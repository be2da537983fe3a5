/**
 * For how long the tables keep their rows, from the tables themselves: whoever changed it there has
 * changed it here. An answer must not count on rows that may be gone already, because a window
 * whose first half has expired would be a wrong number.
 */
import { tableTtlDays } from '../../platform/clickhouse/table-ttl.ts'
import type { Clock } from '../../platform/clock.ts'
import { DAY_MS } from '../../schemas/telemetry.ts'
import type { Selecting } from './telemetry-reader.ts'

const FRESH_MS = 60_000

export class Retention {
  readonly #database: Selecting
  readonly #clock: Clock
  #known: Readonly<{ atMs: number; daysByTable: ReadonlyMap<string, number> }> | undefined

  constructor(database: Selecting, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  /** Of a table's name: the time before which its rows expire, in ms since 1970 UTC. */
  async horizons(): Promise<(table: string) => number> {
    const nowMs = this.#clock.monotonicMs()
    if (this.#known === undefined || nowMs - this.#known.atMs > FRESH_MS) {
      this.#known = { atMs: nowMs, daysByTable: await tableTtlDays(this.#database) }
    }
    const { daysByTable } = this.#known
    return (table) => this.#clock.nowMs() - (daysByTable.get(table) ?? Infinity) * DAY_MS
  }
}
