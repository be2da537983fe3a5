/**
 * Compares the ledger with what is stored. Pure: it takes both and gives the verdict.
 *
 * With a device clock a sample is (device, metric, ts): acknowledged and absent is lost, present
 * and never sent is invented. Without one the server chose the time, so samples are compared as a
 * multiset of values per device and metric: too few is lost, more often than sent is duplicated.
 * Windows are recomputed from the samples that are stored, with the ledger's own values.
 */
import type { Ledger, LedgerMessage, LedgerValue } from '../ledger.ts'
import { type BruteWindow, type SeriesSample, bruteWindows, differences } from './brute-windows.ts'

export type SeriesKind = 'number' | 'boolean' | 'text'
export type StoredWindow = BruteWindow
export type StoredSeries = Readonly<{
  device: string
  metric: string
  kind: SeriesKind
  samples: readonly SeriesSample[]
  /** Rows by window length in ms. */
  windows: ReadonlyMap<number, readonly StoredWindow[]>
}>

export type Verdict = {
  messagesSent: number
  messagesAcked: number
  samplesAcked: number
  samplesStored: number
  lost: number
  /** Stamped samples counted more than once in some 10 s window. */
  duplicatedStamped: number
  /** Unstamped samples stored more often than they were sent: resends over a lost session. */
  duplicatedUnstamped: number
  invented: number
  wrongValues: number
  windowsChecked: number
  wrongRollups: number
  /** The first few findings, in words. */
  examples: string[]
}

const EXAMPLES_MAX = 20

type Expected = {
  stamped: Map<number, { value: LedgerValue; acked: boolean }>
  unstamped: Map<LedgerValue, { sent: number; acked: number }>
}

export function compare(ledger: Ledger, stored: readonly StoredSeries[]): Verdict {
  const verdict = emptyVerdict(ledger.messages)
  const expected = expectedSeries(ledger.messages)
  const seen = new Set<string>()
  for (const series of stored) {
    const name = nameOf(series.device, series.metric, series.kind)
    seen.add(name)
    const want = expected.get(name)
    verdict.samplesStored += series.samples.length
    if (want === undefined) {
      verdict.invented += series.samples.length
      note(verdict, `${name}: ${series.samples.length} samples of a series that was never sent`)
      continue
    }
    const rightful = compareSamples(verdict, name, { want, stored: series.samples })
    compareWindows(verdict, name, { series, samples: rightful, want })
  }
  for (const [name, want] of expected) {
    if (!seen.has(name)) compareSamples(verdict, name, { want, stored: [] })
  }
  return verdict
}

/** Whether the promise holds. Unstamped duplicates are at-least-once by contract. */
export const holds = (verdict: Verdict): boolean =>
  verdict.lost +
    verdict.duplicatedStamped +
    verdict.invented +
    verdict.wrongValues +
    verdict.wrongRollups ===
  0

const nameOf = (device: string, metric: string, kind: SeriesKind): string =>
  `${device}/${metric} (${kind})`

function emptyVerdict(messages: readonly LedgerMessage[]): Verdict {
  return {
    messagesSent: messages.length,
    messagesAcked: messages.filter(({ acked }) => acked).length,
    samplesAcked: 0,
    samplesStored: 0,
    lost: 0,
    duplicatedStamped: 0,
    duplicatedUnstamped: 0,
    invented: 0,
    wrongValues: 0,
    windowsChecked: 0,
    wrongRollups: 0,
    examples: [],
  }
}

function note(verdict: Verdict, text: string): void {
  if (verdict.examples.length < EXAMPLES_MAX) verdict.examples.push(text)
}

function kindOf(value: LedgerValue): SeriesKind {
  if (typeof value === 'number') return 'number'
  return typeof value === 'boolean' ? 'boolean' : 'text'
}

/** Every series of the ledger. Of several messages with one time the first sent one has the value. */
function expectedSeries(messages: readonly LedgerMessage[]): Map<string, Expected> {
  const all = new Map<string, Expected>()
  for (const { device, samples, acked } of messages) {
    for (const [ts, values] of samples) {
      for (const [metric, value] of Object.entries(values)) {
        const name = nameOf(device, metric, kindOf(value))
        const series = all.get(name) ?? { stamped: new Map(), unstamped: new Map() }
        all.set(name, series)
        if (ts === null) {
          const count = series.unstamped.get(value) ?? { sent: 0, acked: 0 }
          series.unstamped.set(value, {
            sent: count.sent + 1,
            acked: count.acked + (acked ? 1 : 0),
          })
        } else {
          const before = series.stamped.get(ts)
          if (before === undefined) series.stamped.set(ts, { value, acked })
          else before.acked ||= acked
        }
      }
    }
  }
  return all
}

/** The samples that should count, with the ledger's values; faults go to the verdict. */
function compareSamples(
  verdict: Verdict,
  name: string,
  { want, stored }: Readonly<{ want: Expected; stored: readonly SeriesSample[] }>,
): SeriesSample[] {
  const rightful: SeriesSample[] = []
  const present = new Set<number>()
  const unstamped = new Map<LedgerValue, number>()
  for (const sample of stored) {
    const sent = want.stamped.get(sample.ts)
    if (sent !== undefined) {
      present.add(sample.ts)
      if (!sameValue(sent.value, sample)) {
        verdict.wrongValues += 1
        note(verdict, `${name} at ${sample.ts}: sent ${sent.value}, stored ${storedText(sample)}`)
      }
      rightful.push({ ts: sample.ts, ...asStored(sent.value) })
      continue
    }
    const value = unstampedValue(want, sample)
    if (value === undefined) {
      verdict.invented += 1
      note(verdict, `${name} at ${sample.ts}: stored ${storedText(sample)}, never sent`)
    } else unstamped.set(value, (unstamped.get(value) ?? 0) + 1)
    rightful.push(sample)
  }
  countStamped(verdict, name, { want, present })
  countUnstamped(verdict, name, { want, present: unstamped })
  return rightful
}

function countStamped(
  verdict: Verdict,
  name: string,
  { want, present }: Readonly<{ want: Expected; present: ReadonlySet<number> }>,
): void {
  for (const [ts, { acked }] of want.stamped) {
    if (!acked) continue
    verdict.samplesAcked += 1
    if (present.has(ts)) continue
    verdict.lost += 1
    note(verdict, `${name} at ${ts}: acknowledged and not stored`)
  }
}

function countUnstamped(
  verdict: Verdict,
  name: string,
  { want, present }: Readonly<{ want: Expected; present: ReadonlyMap<LedgerValue, number> }>,
): void {
  for (const [value, { sent, acked }] of want.unstamped) {
    const stored = present.get(value) ?? 0
    verdict.samplesAcked += acked
    verdict.duplicatedUnstamped += Math.max(0, stored - sent)
    if (stored >= acked) continue
    verdict.lost += acked - stored
    note(verdict, `${name}, no clock: ${value} acknowledged ${acked} times, stored ${stored} times`)
  }
}

function compareWindows(
  verdict: Verdict,
  name: string,
  {
    series,
    samples,
    want,
  }: Readonly<{ series: StoredSeries; samples: readonly SeriesSample[]; want: Expected }>,
): void {
  for (const [windowMs, rows] of series.windows) {
    const expected = bruteWindows(samples, windowMs)
    const stored = new Map(rows.map((row) => [row.start, row]))
    for (const start of new Set([...expected.keys(), ...stored.keys()])) {
      verdict.windowsChecked += 1
      const right = expected.get(start)
      const row = stored.get(start)
      const wrong = right && row ? differences(right, row, series.kind) : ['presence']
      if (wrong.length === 0) continue
      verdict.wrongRollups += 1
      const surplus = (row?.count ?? 0) - (right?.count ?? 0)
      if (windowMs === 10_000 && surplus > 0 && want.stamped.size > 0) {
        verdict.duplicatedStamped += surplus
      }
      note(verdict, `${name} ${windowMs / 1000} s at ${start}: wrong ${wrong.join(', ')}`)
    }
  }
}

function asStored(value: LedgerValue): Readonly<{ value: number; text: string }> {
  return typeof value === 'string' ? { value: 0, text: value } : { value: Number(value), text: '' }
}

const sameValue = (sent: LedgerValue, stored: SeriesSample): boolean =>
  typeof sent === 'string' ? sent === stored.text : Number(sent) === stored.value

const storedText = ({ value, text }: SeriesSample): string => (text === '' ? String(value) : text)

function unstampedValue(want: Expected, { value, text }: SeriesSample): LedgerValue | undefined {
  for (const candidate of [value, value === 1, text] as const) {
    if (want.unstamped.has(candidate)) return candidate
  }
  return undefined
}
