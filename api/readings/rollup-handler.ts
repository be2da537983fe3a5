/** What the endpoint of windows does: which resolution, which extras, and what has expired. */
import { QUANTILE_RELATIVE_ERROR } from '../../schemas/quantile-sketch.ts'
import type { ApiParts } from '../api-parts.ts'
import type { Resolution, Rollup, Rollups } from '../contract/resources.ts'
import { existing } from '../devices/device-handlers.ts'
import { LIMITS } from '../limits.ts'
import { invalid, Refusal } from '../problem.ts'
import type { Call, Parameters, Reply } from '../route.ts'
import { spanOf } from './reading-handlers.ts'
import { finestFor, resolutionMs, resolutionNamed } from './resolution.ts'
import { completenessOf, percentilesOf, rollupOf } from './rollup-item.ts'
import type { MergedWindow } from './rollup-reader.ts'
import type { SeriesRef, SpanMs } from './telemetry-reader.ts'

export async function getRollups(parts: ApiParts, call: Call): Promise<Reply> {
  const device = await existing(parts, call)
  const percentiles = percentilesIn(call.parameters)
  const pointsMax = percentiles === undefined ? LIMITS.rollupPointsMax : LIMITS.percentilePointsMax
  const span = spanOf(parts, call)
  const expiryOf = await parts.rollups.expiries()
  const resolution = resolutionOf(call, { span, pointsMax, expiryOf })

  const series = await seriesAsked(parts, call, device.id)
  const sketches = percentiles !== undefined
  const ask = { ...span, resolution, limit: pointsMax + 1, sketches }
  const windows = series === undefined ? [] : await parts.rollups.windows(call.tenant, series, ask)
  if (windows.length > pointsMax) throw tooMany(pointsMax, resolution)

  const extras = { percentiles, intervalMs: call.parameters.integer('intervalMs') }
  const body = answerOf({ resolution, kind: series?.kind, windows }, extras)
  const expiredBefore = expiryOf(resolution)
  if (span.fromMs < expiredBefore) {
    const windowMs = resolutionMs(resolution)
    body.expiredBefore = Math.ceil(expiredBefore / windowMs) * windowMs
  }
  return { status: 200, body }
}

type Extras = Readonly<{
  percentiles: readonly number[] | undefined
  intervalMs: number | undefined
}>

function answerOf(
  found: Readonly<{
    resolution: Resolution
    kind: SeriesRef['kind'] | undefined
    windows: readonly MergedWindow[]
  }>,
  { percentiles, intervalMs }: Extras,
): Rollups {
  const { resolution, kind = 'number' } = found
  const samplesPerWindow = resolutionMs(resolution) / (intervalMs ?? Infinity)
  const items = found.windows.map(({ part, ...revision }): Rollup => {
    const item = rollupOf(kind, part, { ...revision, sampledMs: part.lastTsMs - part.firstTsMs })
    if (percentiles !== undefined) item.percentiles = percentilesOf(part, percentiles)
    if (intervalMs !== undefined) item.completeness = completenessOf(part.count, samplesPerWindow)
    return item
  })
  return {
    resolution,
    items,
    ...(found.kind === undefined ? {} : { kind }),
    ...(percentiles === undefined ? {} : { percentileRelativeError: QUANTILE_RELATIVE_ERROR }),
    ...(intervalMs === undefined ? {} : { expected: { intervalMs, samplesPerWindow } }),
  }
}

/** The parameter's pattern has seen to their form and number. */
function percentilesIn(parameters: Parameters): readonly number[] | undefined {
  const percentiles = parameters.text('percentiles')?.split(',').map(Number)
  if (percentiles !== undefined && new Set(percentiles).size < percentiles.length) {
    throw invalid('A percentile is there twice.', 'percentiles')
  }
  return percentiles
}

function resolutionOf(
  call: Call,
  fit: Readonly<{
    span: SpanMs
    pointsMax: number
    expiryOf: (resolution: Resolution) => number
  }>,
): Resolution {
  const named = resolutionNamed(call.parameters.text('resolution') ?? '')
  if (named !== undefined) return named
  const { span, expiryOf } = fit
  const wanted = call.parameters.integer('maxPoints') ?? LIMITS.rollupPointsDefault
  const pointsMax = Math.min(wanted, fit.pointsMax)
  return finestFor(span.toMs - span.fromMs, pointsMax, (one) => expiryOf(one) <= span.fromMs)
}

/**
 * A metric that changed its type has a series of each kind. Where the question does not say which
 * of them it means, numbers go before the others.
 */
export async function seriesAsked(
  { telemetry }: ApiParts,
  { tenant, parameters }: Call,
  device: string,
): Promise<SeriesRef | undefined> {
  const all = await telemetry.series(tenant, [device], parameters.requiredText('metric'))
  const of = (kind: string) => all.find((one) => one.kind === kind)
  const asked = parameters.text('kind')
  if (asked !== undefined) return of(asked)
  return of('number') ?? of('boolean') ?? of('text')
}

function tooMany(pointsMax: number, resolution: Resolution): Refusal {
  const text = `The span has more than ${pointsMax} windows of ${resolution}: ask for a shorter span or a coarser resolution.`
  return new Refusal('limit_exceeded', text, { field: 'resolution' })
}
