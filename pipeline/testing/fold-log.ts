/**
 * Random logs for the tests: small packed records of a few devices, in order, out of order, late,
 * early, repeated, and ticks. Times are small so that a handful of records opens and closes
 * windows of both sizes.
 */
import fc from 'fast-check'
import { type Telemetry, tickRecord } from '../../schemas/telemetry.ts'
import type { LoggedRecord } from './brute-force.ts'

/** Long after 1970, so that nothing a test does goes below zero; on a window boundary. */
export const LOG_START_MS = 1_700_000_040_000
export const ACCEPTED_AGE_MS = 3_600_000

type Draft = Readonly<{
  device: number
  metric: number
  kind: 'number' | 'boolean' | 'text'
  stepMs: number
  lagMs: number
  times: readonly number[]
  values: readonly number[]
  tick: boolean
  poison: boolean
}>

const lag = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 9_000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 300_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: -90_000, max: 0 }) },
  { weight: 1, arbitrary: fc.integer({ min: 3_500_000, max: 3_700_000 }) },
)

const draft: fc.Arbitrary<Draft> = fc.record({
  device: fc.nat(1),
  metric: fc.nat(1),
  kind: fc.constantFrom('number', 'number', 'boolean', 'text'),
  stepMs: fc.integer({ min: 0, max: 12_000 }),
  lagMs: lag,
  times: fc.array(fc.oneof(fc.integer({ min: 0, max: 25 }), fc.integer({ min: 0, max: 60 })), {
    minLength: 1,
    maxLength: 5,
  }),
  values: fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 5, maxLength: 5 }),
  tick: fc.nat(11).map((n) => n === 0),
  poison: fc.nat(29).map((n) => n === 0),
})

export const logs = (records: number): fc.Arbitrary<LoggedRecord[]> =>
  fc.array(draft, { minLength: 1, maxLength: records }).map((drafts) => logOf(drafts))

function logOf(drafts: readonly Draft[]): LoggedRecord[] {
  let appendMs = LOG_START_MS
  return drafts.map((each, offset) => {
    appendMs += each.stepMs
    const recvMs = appendMs - (each.device === 0 ? 5 : 40)
    if (each.poison) return { offset, appendMs, record: undefined }
    return { offset, appendMs, record: each.tick ? tickRecord(recvMs) : recordOf(each, recvMs) }
  })
}

function recordOf(draft: Draft, recvTs: number): Telemetry {
  const metric = `m${draft.metric}`
  // On a grid of 700 ms, so that redeliveries of one time with another value do happen.
  const t0 = Math.floor((recvTs - draft.lagMs) / 700) * 700
  const dt = draft.times.map((n) => n * 700)
  const v = draft.times.map((_, k) => draft.values[k] ?? 0)
  const record = emptyRecord(`d${draft.device}`, recvTs)
  if (draft.kind === 'number') record.numbers.push({ metric, t0, dt, v })
  else if (draft.kind === 'boolean')
    record.booleans.push({ metric, t0, dt, v: v.map((n) => n > 0) })
  else record.strings.push({ metric, t0, dt, v: v.map(String) })
  // A second entry of the same series: an edge never writes it, but the topic is public.
  const again = record.numbers[0]
  if (again !== undefined && draft.times.length > 3) {
    record.numbers.push({ metric, t0, dt: dt.toReversed(), v: v.map((n) => n + 1) })
  }
  return record
}

export const emptyRecord = (device: string, recvTs: number): Telemetry => ({
  tenant: 'acme',
  device,
  recvTs,
  protocol: 'mqtt',
  stamped: true,
  numbers: [],
  booleans: [],
  strings: [],
})
