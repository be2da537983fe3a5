/** Telemetry as an unkind fleet sends it: out of order, late, repeated, of every kind; by a seed. */
import { systemClock } from '../../platform/clock.ts'
import type { Telemetry } from '../../schemas/telemetry.ts'
import { emptyRecord } from './fold-log.ts'
import type { Deployment } from './stack-deployment.ts'

/** Whole numbers below the argument: the same ones for the same seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Ordinary, out-of-order, late and repeated samples of every kind, relative to `nowMs`. */
export function messyRecord(random: (below: number) => number, nowMs: number): Telemetry {
  const record = emptyRecord(`d${random(20)}`, nowMs)
  const lateMs = [0, 0, 0, 5_000, 40_000, 600_000][random(6)] ?? 0
  const t0 = Math.floor((nowMs - lateMs - random(3_000)) / 250) * 250
  const dt = Array.from({ length: 1 + random(4) }, () => -random(12) * 250)
  const v = dt.map(() => random(1_000_000) / 997)
  record.numbers.push({ metric: 'temperature', t0, dt, v }, { metric: 'load', t0, dt, v })
  if (random(3) === 0) record.booleans.push({ metric: 'on', t0, dt: [0], v: [random(2) === 0] })
  if (random(4) === 0) record.strings.push({ metric: 'state', t0, dt: [0], v: [`é${random(9)}`] })
  return record
}

export async function sendMess(
  deployment: Deployment,
  records: number,
  seed: number,
): Promise<void> {
  const random = randomFrom(seed)
  const sent: Promise<void>[] = []
  for (let n = 0; n < records; n += 1) {
    sent.push(deployment.send(messyRecord(random, systemClock.nowMs())))
    if (n % 100 === 99) await Promise.all(sent.splice(0))
  }
  await Promise.all(sent)
}
