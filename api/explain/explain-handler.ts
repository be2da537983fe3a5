/** What the endpoint that lays a window open does. */
import type { WindowPart } from '../../schemas/window-merge.ts'
import type { ApiParts } from '../api-parts.ts'
import type { Explanation, ExplanationVerdict, FieldCheck } from '../contract/explanation.ts'
import { STORED_RESOLUTIONS, type StoredResolution } from '../contract/resources.ts'
import { decodeCursor, encodeCursor, pageOf } from '../cursor.ts'
import { existing } from '../devices/device-handlers.ts'
import { LIMITS } from '../limits.ts'
import { invalid } from '../problem.ts'
import type { Call, Reply } from '../route.ts'
import { resolutionMs, storedIn } from '../readings/resolution.ts'
import { seriesAsked } from '../readings/rollup-handler.ts'
import type { SeriesRef, SpanMs } from '../readings/telemetry-reader.ts'
import { checksOf, foldedAgain } from './fold-again.ts'
import type { RevisionEvidence } from './window-evidence.ts'

export async function explainWindow(parts: ApiParts, call: Call): Promise<Reply> {
  const device = await existing(parts, call)
  const metric = call.parameters.requiredText('metric')
  const { resolution, window } = windowOf(call)
  const series = await seriesAsked(parts, call, device.id)
  const subject = { device: device.id, metric, kind: series?.kind ?? null, resolution }
  const frame = { ...subject, start: window.fromMs, end: window.toMs }
  if (series === undefined) {
    const nothing = { revisions: [], sampleCount: 0, samples: [], next: null }
    return { status: 200, body: { ...frame, ...said('empty'), checks: [], ...nothing } }
  }
  const [judgement, page] = await Promise.all([
    judged(parts, call.tenant, { series, resolution, window }),
    samplesOf(parts, call, { series, window, question: Object.values(frame) }),
  ])
  const body: Explanation = { ...frame, ...judgement, ...page }
  return { status: 200, body }
}

/** The window that holds the time asked for. */
function windowOf(call: Call): Readonly<{ resolution: StoredResolution; window: SpanMs }> {
  const named = call.parameters.requiredText('resolution')
  const resolution = STORED_RESOLUTIONS.find((one) => one === named)
  const at = call.parameters.integer('start')
  if (resolution === undefined || at === undefined) throw invalid('start is missing.', 'start')
  const windowMs = resolutionMs(resolution)
  const fromMs = at - (at % windowMs)
  return { resolution, window: { fromMs, toMs: fromMs + windowMs } }
}

type Subject = Readonly<{ series: SeriesRef; resolution: StoredResolution; window: SpanMs }>

async function judged(
  { evidence, retention }: ApiParts,
  tenant: string,
  { series, resolution, window }: Subject,
): Promise<Pick<Explanation, 'verdict' | 'detail' | 'checks' | 'revisions' | 'sampleCount'>> {
  const samplesMax = LIMITS.explainSamplesMax
  const place = { source: storedIn(resolution), startMs: window.fromMs }
  const [samples, found, horizonOf] = await Promise.all([
    evidence.counted(tenant, series, { ...window, limit: samplesMax + 1 }),
    evidence.revisions(tenant, series, place),
    retention.horizons(),
  ])
  const tooMany = samples.length > samplesMax
  const expired = window.fromMs < horizonOf('samples')
  const folded = tooMany || expired ? undefined : foldedAgain(series.kind, samples)
  const newest = found[0]
  const checks =
    newest === undefined || folded === undefined
      ? []
      : [...checksOf(series.kind, newest.part, folded)]
  return {
    ...said(verdictOf({ newest, folded, checks })),
    checks,
    revisions: found.map(({ revision }) => revision),
    sampleCount: tooMany ? null : samples.length,
  }
}

function verdictOf(
  seen: Readonly<{
    newest: RevisionEvidence | undefined
    folded: WindowPart | undefined
    checks: readonly FieldCheck[]
  }>,
): ExplanationVerdict {
  const { newest, folded, checks } = seen
  if (folded === undefined) return 'not_checked'
  if (newest === undefined) return folded.count === 0 ? 'empty' : 'not_stored'
  if (checks.every(({ equal }) => equal)) return 'equal'
  return newest.revision.final ? 'differs' : 'provisional'
}

const DETAILS: Readonly<Record<ExplanationVerdict, string>> = {
  equal: 'The newest stored row is what its samples add up to.',
  differs:
    'The newest stored row is final, and is not what its samples add up to. Ask again: a late ' +
    'sample is stored a moment before the row that it corrects. If it stays so, it is a defect.',
  provisional: 'The window is open: samples have come since its newest row was stored.',
  not_stored: 'There are samples, and no row of this window yet: it is stored when it has ended.',
  not_checked:
    'Not folded again: some of its samples may have expired, or they are more than ' +
    `${LIMITS.explainSamplesMax}.`,
  empty: 'There are no samples in this window, and no row of it.',
}

const said = (verdict: ExplanationVerdict): Pick<Explanation, 'verdict' | 'detail'> => ({
  verdict,
  detail: DETAILS[verdict],
})

async function samplesOf(
  { evidence }: ApiParts,
  call: Call,
  {
    series,
    window,
    question,
  }: Readonly<{
    series: SeriesRef
    window: SpanMs
    question: readonly unknown[]
  }>,
): Promise<Pick<Explanation, 'samples' | 'next'>> {
  const limit = call.parameters.integer('limit') ?? LIMITS.readingsPerPageDefault
  const asked = ['explain', ...question]
  const cursor = call.parameters.text('cursor')
  const afterMs = cursor === undefined ? -1 : Number(decodeCursor(asked, cursor, ['number'])[0])
  const span = { fromMs: Math.max(window.fromMs, afterMs + 1), toMs: window.toMs }
  const found = await evidence.samples(call.tenant, series, { ...span, limit: limit + 1 })
  const { items, next } = pageOf(found, limit, ({ at }) => encodeCursor(asked, [at]))
  return { samples: items, next }
}
