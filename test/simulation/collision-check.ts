/**
 * When two names have one id: the samples of one of them may be stored, of both never, and who
 * meets the second must end with the reason, before it commits past it.
 */
import type { StoredSample } from './sim-tables.ts'
import type { TrueSeries, Truth } from './truth.ts'
import type { World } from './world.ts'

type Twins = readonly [TrueSeries, TrueSeries]

function twinsOf(truth: Truth): Twins[] {
  const found: Twins[] = []
  for (const one of truth.series.values()) {
    if (one.metric !== 'twin-a') continue
    const other = truth.series.get(`${one.tenant}/${one.device}/twin-b/${one.kind}`)
    if (other !== undefined) found.push([one, other])
  }
  return found
}

export const hasCollision = (truth: Truth): boolean => twinsOf(truth).length > 0

export function checkCollisions({ truth, tables, oracle, exits, group }: World): void {
  for (const [one, other] of twinsOf(truth)) {
    const rows = [...tables.rowsOf(oracle.placeOf(one)).samples.values()].flat()
    const ofOne = rows.some((row) => isOf(row, one) && !isOf(row, other))
    const ofOther = rows.some((row) => isOf(row, other) && !isOf(row, one))
    if (ofOne && ofOther) oracle.finding(`I2 ${one.device}: two series are mixed under one id`)
    const passed = group.committed(one.partition)?.offset ?? 0
    const met = Math.max(firstOffset(one), firstOffset(other))
    if (passed > met)
      oracle.finding(`I2 ${one.device}: a collision at ${met} was passed in silence`)
  }
  if (!exits.some((why) => why.startsWith('Two series have the same id'))) {
    oracle.finding('I2 nobody ended over two series with the same id')
  }
}

const isOf = (row: StoredSample, series: TrueSeries): boolean =>
  series.samples
    .get(row.tsMs)
    ?.deliveries.some(
      ({ offset, value }) => offset === row.offset && Object.is(value, row.value),
    ) === true

function firstOffset(series: TrueSeries): number {
  let first = Infinity
  for (const { deliveries } of series.samples.values()) {
    first = Math.min(first, deliveries[0]?.offset ?? Infinity)
  }
  return first
}
