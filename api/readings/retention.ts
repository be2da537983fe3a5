/**
 * For how long the tables keep their rows, from the tables themselves: whoever changed it there has
 * changed it here. An answer must not count on rows that may be gone already, because a window
 * whose first half has expired would be a wrong number.
 */
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
      this.#known = { atMs: nowMs, daysByTable: await this.#read() }
    }
    const { daysByTable } = this.#known
    return (table) => this.#clock.nowMs() - (daysByTable.get(table) ?? Infinity) * DAY_MS
  }

  async #read(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#database.select<{ name: string; engine_full: string }>(
      'SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()',
    )
    return new Map(rows.map(({ name, engine_full }) => [name, daysIn(engine_full)]))
  }
}

/** ClickHouse spells `INTERVAL 90 DAY` as toIntervalDay(90). A table without a TTL keeps all. */
function daysIn(engine: string): number {
  const days = /\bTTL\b.*\+ toIntervalDay\((?<days>\d+)\)/.exec(engine)?.groups?.['days']
  return days === undefined ? Infinity : Number(days)
}
