/** The endpoints of what devices measured, and of what was made of it. */
import { RESOLUTIONS, SERIES_KINDS, STORED_RESOLUTIONS } from '../contract/resources.ts'
import { explainWindow } from '../explain/explain-handler.ts'
import { LIMITS } from '../limits.ts'
import { CURSOR, DEVICE_ID, FROM, limit, TO } from '../parameters.ts'
import type { ParameterSpec, Route } from '../route.ts'
import { ref } from '../schemas.ts'
import { getLatest, getReadings } from './reading-handlers.ts'
import { getRollups } from './rollup-handler.ts'

const METRIC: ParameterSpec = {
  name: 'metric',
  kind: 'text',
  required: true,
  charsMin: 1,
  charsMax: LIMITS.metricCharsMax,
  doc: 'The name of the metric, as the device sent it.',
}
const KIND: ParameterSpec = {
  name: 'kind',
  kind: 'choice',
  choices: SERIES_KINDS,
  doc: 'Which series of a metric that changed its type. Left out: number before boolean before text.',
}
const PAGE_OF_READINGS: readonly ParameterSpec[] = [
  limit(LIMITS.readingsPerPageMax, LIMITS.readingsPerPageDefault),
  CURSOR,
]

/** From 0 to 100, with up to three decimals. */
const PERCENTILE = '(?:100|\\d{1,2}(?:\\.\\d{1,3})?)'

export const READING_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/devices/{id}/latest',
    operationId: 'getLatest',
    summary: 'The newest value of each metric, by event time',
    access: 'telemetry:read',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    success: { status: 200, description: 'The newest values.', schema: ref('Latest') },
    failures: ['device_not_found'],
    handle: getLatest,
  },
  {
    method: 'GET',
    path: '/v1/devices/{id}/readings',
    operationId: 'getReadings',
    summary: 'Samples of one metric in [from, to), oldest first',
    access: 'telemetry:read',
    pathParameters: [DEVICE_ID],
    queryParameters: [METRIC, FROM, TO, ...PAGE_OF_READINGS],
    success: { status: 200, description: 'A page.', schema: ref('Readings') },
    failures: ['device_not_found', 'cursor_invalid'],
    handle: getReadings,
  },
  {
    method: 'GET',
    path: '/v1/devices/{id}/rollups',
    operationId: 'getRollups',
    summary: 'Windows of one metric that start in [from, to), oldest first',
    description:
      'A window without samples is absent. A window that is not final, or that late samples ' +
      'corrected, comes again with a higher version.',
    access: 'telemetry:read',
    pathParameters: [DEVICE_ID],
    queryParameters: [
      METRIC,
      FROM,
      TO,
      KIND,
      {
        name: 'resolution',
        kind: 'choice',
        choices: RESOLUTIONS,
        doc: 'Left out: the finest with at most `maxPoints` windows that is kept for the span.',
      },
      {
        name: 'maxPoints',
        kind: 'integer',
        min: 1,
        max: LIMITS.rollupPointsMax,
        default: LIMITS.rollupPointsDefault,
        doc: 'How many windows are wanted where the resolution is left out.',
      },
      {
        name: 'percentiles',
        kind: 'text',
        pattern: `^${PERCENTILE}(?:,${PERCENTILE}){0,${LIMITS.percentilesMax - 1}}$`,
        doc:
          `Such as 50,95,99.9: at most ${LIMITS.percentilesMax} different numbers from 0 to 100, ` +
          `for at most ${LIMITS.percentilePointsMax} windows.`,
      },
      {
        name: 'intervalMs',
        kind: 'integer',
        min: 1,
        max: LIMITS.intervalMsMax,
        doc: 'How far apart samples are expected to be: every window then says its completeness.',
      },
    ],
    success: { status: 200, description: 'The windows.', schema: ref('Rollups') },
    failures: ['device_not_found', 'limit_exceeded'],
    handle: getRollups,
  },
  {
    method: 'GET',
    path: '/v1/devices/{id}/explain',
    operationId: 'explainWindow',
    summary: 'One window laid open: its samples, its stored rows, and whether they agree',
    description:
      'The samples are folded again for the answer, by other code than the one that stored the ' +
      'row, and compared with it field by field.',
    access: 'telemetry:read',
    pathParameters: [DEVICE_ID],
    queryParameters: [
      METRIC,
      {
        name: 'start',
        kind: 'time',
        required: true,
        doc:
          'Any time in the window: ms since 1970 UTC, or RFC 3339. The answer is about the window ' +
          'that holds it, which begins at the `start` of the answer.',
      },
      {
        name: 'resolution',
        kind: 'choice',
        required: true,
        choices: STORED_RESOLUTIONS,
        doc: 'Those that are stored; others are merged when they are asked for.',
      },
      KIND,
      ...PAGE_OF_READINGS,
    ],
    success: { status: 200, description: 'What is known of it.', schema: ref('Explanation') },
    failures: ['device_not_found', 'cursor_invalid'],
    handle: explainWindow,
  },
]
