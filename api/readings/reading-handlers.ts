/** What the endpoints of measurements do. */
import type { ApiParts } from '../api-parts.ts'
import type { Latest, Readings } from '../contract/resources.ts'
import { decodeCursor, encodeCursor, pageOf } from '../cursor.ts'
import { existing } from '../devices/device-handlers.ts'
import { LIMITS } from '../limits.ts'
import { invalid, Refusal } from '../problem.ts'
import type { Call, Reply } from '../route.ts'
import { newestOfDevices } from './newest-values.ts'
import type { ReadingPosition, SpanMs } from './telemetry-reader.ts'

const DEFAULT_SPAN_MS = 3_600_000

export async function getLatest(parts: ApiParts, call: Call): Promise<Reply> {
  const device = await existing(parts, call)
  const newest = await newestOfDevices(parts, call.tenant, [device.id])
  const body: Latest = { device: device.id, values: newest.get(device.id) ?? {} }
  return { status: 200, body }
}

export async function getReadings(parts: ApiParts, call: Call): Promise<Reply> {
  const device = await existing(parts, call)
  const metric = call.parameters.requiredText('metric')
  const limit = call.parameters.integer('limit') ?? 1
  const { after, span } = placeOf(parts, call, [device.id, metric])
  const series = await parts.telemetry.series(call.tenant, [device.id], metric)
  const page = { ...span, after, limit: limit + 1 }
  const found = series.length === 0 ? [] : await parts.telemetry.readings(call.tenant, series, page)

  const question = questionOf(call, [device.id, metric])
  const { items, next } = pageOf(found, limit, ({ reading, series: of }) =>
    encodeCursor(question, [span.fromMs, span.toMs, reading.at, of]),
  )
  const body: Readings = { items: items.map(({ reading }) => reading), next }
  return { status: 200, body }
}

/**
 * Where a page begins. The cursor carries the span of the first page: a `to` that was left out
 * means one moment for the whole walk, not a later one on every page.
 */
function placeOf(
  parts: ApiParts,
  call: Call,
  subject: readonly string[],
): Readonly<{ span: SpanMs; after: ReadingPosition | undefined }> {
  const cursor = call.parameters.text('cursor')
  if (cursor === undefined) return { span: spanOf(parts, call), after: undefined }
  const shape = ['number', 'number', 'number', 'string'] as const
  const parts4 = decodeCursor(questionOf(call, subject), cursor, shape)
  const [fromMs, toMs, atMs, series] = parts4
  if (!/^\d{1,20}$/.test(String(series)) || BigInt(String(series)) >= 2n ** 64n) {
    throw new Refusal('cursor_invalid', 'The cursor is not one we gave out.', { field: 'cursor' })
  }
  const span = checkedSpan(Number(fromMs), Number(toMs))
  const after = { atMs: checkedTime(Number(atMs)), series: String(series) }
  return { span, after }
}

const questionOf = (call: Call, subject: readonly string[]): readonly unknown[] => [
  'readings',
  ...subject,
  call.parameters.integer('from') ?? null,
  call.parameters.integer('to') ?? null,
]

export function spanOf({ clock }: ApiParts, call: Call): SpanMs {
  const toMs = call.parameters.integer('to') ?? clock.nowMs()
  const fromMs = call.parameters.integer('from') ?? Math.max(0, toMs - DEFAULT_SPAN_MS)
  return checkedSpan(fromMs, toMs)
}

function checkedSpan(fromMs: number, toMs: number): SpanMs {
  checkedTime(fromMs)
  checkedTime(toMs)
  if (fromMs > toMs) throw invalid('from must not be after to.', 'from')
  return { fromMs, toMs }
}

function checkedTime(ms: number): number {
  if (ms < 0 || ms > LIMITS.timeMsMax) throw invalid('The time is out of range.')
  return ms
}
