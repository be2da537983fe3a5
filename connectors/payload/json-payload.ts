/**
 * The JSON that devices send, decoded into packed series. The whole rule, in one place:
 *
 *   {"temperature":21.5,"open":true,"mode":"eco"}         metrics, stamped when received
 *   {"ts":1767225600000,"values":{"temperature":21.5}}    metrics with their own time (ms)
 *   {"values":{"temperature":21.5}}                       as the first
 *   {"ts":…,"seq":17,"values":{…}}                        and the device's own number of the message
 *   [ …any of these… ]                                    several at once
 *
 * - A message is taken whole or refused whole; the first thing wrong names the reason.
 * - Values are finite numbers, booleans or strings. null has no kind: leave the metric out.
 *   Nested objects and arrays are refused, since flattening would invent metric names.
 * - `ts` and `values` are reserved beside each other: a `ts` without `values` is refused, because
 *   it is a forgotten envelope far more often than a metric. Inside `values` they are free.
 * - The same name twice in one object is refused: one of the two values would vanish.
 * - Times are whole milliseconds from 1970 up to 2100. Whether they are believed is not decided
 *   here: clock-check.ts.
 * - A reading without values is checked and then forgotten: it uses no stamp, and its time says
 *   nothing about the clock of the others.
 * - `seq` beside `values` numbers a message: a whole number from 0 up to 2^52 - 1. An array is one
 *   message with several readings, which has no place for several numbers, so a `seq` in it is
 *   refused. Without `values` beside it `seq` is a metric like any other.
 */
import { isUtf8 } from 'node:buffer'
import type { DeadLetterReason } from '../../schemas/dead-letter.ts'
import type { Series } from '../../schemas/telemetry.ts'
import { LONG_END } from '../../schemas/telemetry-reader.ts'
import { scanJson } from './json-scan.ts'

export const JSON_DEPTH_MAX = 16
export const METRIC_CHARS_MAX = 128
export const STRING_VALUE_CHARS_MAX = 4096
/** 2100-01-01T00:00:00Z. A later time is a unit mistake (µs, ns), not a measurement. */
export const TIME_MS_MAX = 4_102_444_800_000

export type PackedSeries = Readonly<{
  numbers: Series<number>[]
  booleans: Series<boolean>[]
  strings: Series<string>[]
}>
export type DecodedPayload =
  | Readonly<{
      kind: 'decoded'
      series: PackedSeries
      /** How many receive stamps were used up: firstStampMs, firstStampMs + 1, … */
      stampsUsed: number
      /** The newest time that the device gave to a value; undefined when it gave none. */
      newestMs: number | undefined
      /** The number that the device gave this message. */
      seq: number | null
    }>
  | Refused
/** `detail` is for people and never repeats what was sent. */
export type Refused = Readonly<{ kind: 'refused'; reason: DeadLetterReason; detail: string }>

/** The `dt` of a single sample, shared by all of them: it is only ever read. */
const AT_T0: number[] = [0]

type JsonObject = Readonly<Record<string, unknown>>
type Reading = Readonly<{
  ts: number | undefined
  seq: number | null
  values: JsonObject
  names: readonly string[]
}>

/**
 * Decodes one payload within the caller's size limit. Total: any bytes get an answer. The first
 * reading without a time gets `firstStampMs`; later ones in the message follow on.
 */
export function decodeJson(payload: Buffer, firstStampMs: number): DecodedPayload {
  if (payload.length === 0) return refused('payload_empty', 'no bytes')
  const { depth, members, ascii } = scanJson(payload)
  if (!ascii && !isUtf8(payload)) return refused('payload_not_json', 'not UTF-8')
  if (depth > JSON_DEPTH_MAX) {
    return refused('payload_too_deep', `nested deeper than ${JSON_DEPTH_MAX} levels`)
  }
  let document: unknown
  try {
    document = JSON.parse(payload.toString(ascii ? 'latin1' : 'utf8'))
  } catch {
    return refused('payload_not_json', 'not JSON by RFC 8259')
  }
  return Array.isArray(document)
    ? decodeMany(document, members, firstStampMs)
    : decodeOne(document, members, firstStampMs)
}

/** The common case, kept free of grouping: names are unique within one object. */
function decodeOne(document: unknown, members: number, firstStampMs: number): DecodedPayload {
  const reading = readingOf(document)
  if ('kind' in reading) return reading
  const { names, ts, seq } = reading
  if (names.length === 0) return refused('payload_empty', 'no values')

  const series = emptySeries()
  const t0 = ts ?? firstStampMs
  for (const metric of names) {
    const value = reading.values[metric]
    const problem = problemWith(metric, value)
    if (problem !== undefined) return problem
    if (typeof value === 'number') series.numbers.push({ metric, t0, dt: AT_T0, v: [value] })
    else if (typeof value === 'boolean') series.booleans.push({ metric, t0, dt: AT_T0, v: [value] })
    else if (typeof value === 'string') series.strings.push({ metric, t0, dt: AT_T0, v: [value] })
  }
  // Last: a nested object has members too, and is a bad value rather than a repeated name.
  if (memberCount(reading, document) !== members) return DUPLICATE_NAME
  return { kind: 'decoded', series, stampsUsed: ts === undefined ? 1 : 0, newestMs: ts, seq }
}

/** All samples count from the earliest, so that no `dt` is negative. */
function decodeMany(
  documents: readonly unknown[],
  members: number,
  firstStampMs: number,
): DecodedPayload {
  const readings: { at: number; reading: Reading }[] = []
  let t0 = Number.POSITIVE_INFINITY
  let counted = 0
  let stampsUsed = 0
  let newestMs: number | undefined
  for (const document of documents) {
    const reading = readingOf(document)
    if ('kind' in reading) return reading
    if (reading.seq !== null) return SEQ_IN_ARRAY
    counted += memberCount(reading, document)
    if (reading.names.length === 0) continue
    const at = reading.ts ?? firstStampMs + stampsUsed++
    if (reading.ts !== undefined) newestMs = Math.max(newestMs ?? 0, reading.ts)
    t0 = Math.min(t0, at)
    readings.push({ at, reading })
  }

  const groups = new SeriesGroups(t0)
  for (const { at, reading } of readings) {
    for (const metric of reading.names) {
      const value = reading.values[metric]
      const problem = problemWith(metric, value)
      if (problem !== undefined) return problem
      groups.add(metric, at, value)
    }
  }
  if (counted !== members) return DUPLICATE_NAME
  if (groups.empty) return refused('payload_empty', 'no values')
  return { kind: 'decoded', series: groups.series, stampsUsed, newestMs, seq: null }
}

/** Finds time, number and values of one element, without looking at the values yet. */
function readingOf(document: unknown): Reading | Refused {
  if (!isObject(document)) return refused('payload_shape_invalid', 'a reading must be an object')
  const names = Object.keys(document)
  const hasTime = Object.hasOwn(document, 'ts')
  if (!Object.hasOwn(document, 'values')) {
    if (hasTime) return refused('payload_shape_invalid', '"ts" needs "values" beside it')
    return { ts: undefined, seq: null, values: document, names }
  }
  const { ts, seq, values } = document as { ts?: unknown; seq?: unknown; values: unknown }
  if (!isObject(values)) return refused('payload_shape_invalid', '"values" must be an object')
  const hasNumber = Object.hasOwn(document, 'seq')
  if (names.length > 1 + (hasTime ? 1 : 0) + (hasNumber ? 1 : 0)) {
    return refused('payload_shape_invalid', 'only "ts" and "seq" may stand beside "values"')
  }
  if (hasNumber && !isMessageNumber(seq)) {
    return refused('payload_shape_invalid', '"seq" must be a whole number from 0 up to 2^52 - 1')
  }
  if (hasTime && !isTime(ts)) {
    return refused('time_invalid', '"ts" must be whole milliseconds from 1970 up to 2100')
  }
  return {
    ts: isTime(ts) ? ts : undefined,
    seq: isMessageNumber(seq) ? seq : null,
    values,
    names: Object.keys(values),
  }
}

/** How many members the parser kept of one element. */
function memberCount({ values, names }: Reading, document: unknown): number {
  if (values === document) return names.length
  return names.length + (isObject(document) ? Object.keys(document).length : 0)
}

// A name is 1 to METRIC_CHARS_MAX characters, none of them a control or half a surrogate pair.
// oxlint-disable-next-line no-control-regex
const NAME_FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\p{Surrogate}]/u
const LONE_SURROGATE = /\p{Surrogate}/u
/** Most names are these; one test on the fast path. */
const PLAIN_NAME = /^[\w.:/ -]{1,128}$/

function problemWith(metric: string, value: unknown): Refused | undefined {
  if (!PLAIN_NAME.test(metric)) {
    if (metric.length === 0 || metric.length > METRIC_CHARS_MAX || NAME_FORBIDDEN.test(metric)) {
      return refused(
        'metric_invalid',
        `a metric name must have 1 to ${METRIC_CHARS_MAX} characters and no control characters`,
      )
    }
  }
  if (typeof value === 'boolean') return undefined
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return undefined
    return refused('value_not_finite', 'a number is beyond the range of a 64-bit float')
  }
  if (typeof value !== 'string') {
    return refused('payload_shape_invalid', 'a value must be a number, a boolean or a string')
  }
  if (value.length > STRING_VALUE_CHARS_MAX) {
    return refused('value_too_long', `a string exceeds ${STRING_VALUE_CHARS_MAX} characters`)
  }
  if (!LONE_SURROGATE.test(value)) return undefined
  return refused('payload_shape_invalid', 'a string is not valid Unicode')
}

/** Gathers the samples of one metric and kind, over all readings of a message. */
class SeriesGroups {
  readonly series: PackedSeries = emptySeries()
  readonly #numbers = new Map<string, Series<number>>()
  readonly #booleans = new Map<string, Series<boolean>>()
  readonly #strings = new Map<string, Series<string>>()
  readonly #t0: number

  constructor(t0: number) {
    this.#t0 = t0
  }

  get empty(): boolean {
    return this.#numbers.size + this.#booleans.size + this.#strings.size === 0
  }

  add(metric: string, at: number, value: unknown): void {
    const dt = at - this.#t0
    if (typeof value === 'number') {
      push(this.#of(metric, this.#numbers, this.series.numbers), dt, value)
    } else if (typeof value === 'boolean') {
      push(this.#of(metric, this.#booleans, this.series.booleans), dt, value)
    } else if (typeof value === 'string') {
      push(this.#of(metric, this.#strings, this.series.strings), dt, value)
    }
  }

  #of<V>(metric: string, known: Map<string, Series<V>>, all: Series<V>[]): Series<V> {
    const existing = known.get(metric)
    if (existing !== undefined) return existing
    const created: Series<V> = { metric, t0: this.#t0, dt: [], v: [] }
    known.set(metric, created)
    all.push(created)
    return created
  }
}

function push<V>(series: Series<V>, dt: number, value: V): void {
  series.dt.push(dt)
  series.v.push(value)
}

const emptySeries = (): PackedSeries => ({ numbers: [], booleans: [], strings: [] })

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** A message's own number: what a record can hold, and its readers read exactly. */
const isMessageNumber = (value: unknown): value is number => isCount(value) && value < LONG_END

const isTime = (value: unknown): value is number => isCount(value) && value < TIME_MS_MAX

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refused(reason: DeadLetterReason, detail: string): Refused {
  return { kind: 'refused', reason, detail }
}

const SEQ_IN_ARRAY = refused(
  'payload_shape_invalid',
  'a message in an array has no "seq": send messages with numbers one by one',
)
const DUPLICATE_NAME = refused('payload_shape_invalid', 'a name stands twice in one object')
