/** The rows of the readings table: each with its step from the one before. Pure. */
import type { LatestValue, Value } from '../../api/contract/resources.ts'
import { toleratedMissingMs } from '../series/gaps.ts'
import { pointOfReading } from '../series/point-series.ts'
import { fixed } from '../say/words.ts'

export type Reading = Readonly<LatestValue>
export type ReadingRow = Reading &
  Readonly<{
    /** Against the reading before; undefined for the first, and where nothing can be subtracted. */
    change: number | undefined
    afterMs: number | undefined
    /** Longer after the one before than the rhythm of the series explains. */
    gap: boolean
  }>

/** The newest `most`, newest first; `readings` are oldest first. */
export function readingRows(readings: readonly Reading[], most: number): ReadingRow[] {
  const toleratedMs = toleratedMissingMs(
    readings.map(({ at, value }) => pointOfReading(at, value)),
    0,
  )
  const rows: ReadingRow[] = []
  for (let i = readings.length - 1; i >= 0 && rows.length < most; i--) {
    const [reading, before] = [readings[i], readings[i - 1]]
    if (reading === undefined) break
    const afterMs = before === undefined ? undefined : reading.at - before.at
    const gap = afterMs !== undefined && afterMs > toleratedMs
    rows.push({ ...reading, change: changeOf(reading.value, before?.value), afterMs, gap })
  }
  return rows
}

export function rawWords(value: Value, decimals: number): string {
  return typeof value === 'number' ? fixed(value, decimals) : String(value)
}

/** With its sign; a reading that says the same as the one before says so. */
export function changeWords({ change }: ReadingRow, decimals: number): string {
  if (change === undefined) return ''
  if (change === 0) return '='
  return `${change > 0 ? '+' : ''}${fixed(Number(change.toFixed(decimals)), decimals)}`
}

const changeOf = (value: Value, before: Value | undefined): number | undefined =>
  typeof value === 'number' && typeof before === 'number' ? value - before : undefined
