/** Every endpoint, in one table. What a route does is in the folder of its subject. */
import { DEVICE_ID_PATTERN } from '../devices/device.ts'
import { RESOLUTIONS, SERIES_KINDS, STORED_RESOLUTIONS } from './contract/resources.ts'
import { API_KEY_NAME_PATTERN } from '../devices/access/api-key-store.ts'
import { getAbout } from './about-handler.ts'
import {
  createKey,
  getKey,
  listChanges,
  listKeys,
  revokeKey,
  rotateKey,
} from './access/key-handlers.ts'
import { getAudit } from './audit/audit-handler.ts'
import {
  createDevice,
  deleteDevice,
  getDevice,
  listDevices,
  updateDevice,
} from './devices/device-handlers.ts'
import { explainWindow } from './explain/explain-handler.ts'
import { LIMITS } from './limits.ts'
import { openApiOf } from './openapi.ts'
import { getLatest, getReadings } from './readings/reading-handlers.ts'
import { getRollups } from './readings/rollup-handler.ts'
import type { ParameterSpec, Route } from './route.ts'
import { ref } from './schemas.ts'

const DEVICE_ID: ParameterSpec = {
  name: 'id',
  kind: 'text',
  required: true,
  pattern: DEVICE_ID_PATTERN,
  doc: 'The id of the device.',
}
const KEY_NAME: ParameterSpec = {
  name: 'name',
  kind: 'text',
  required: true,
  pattern: API_KEY_NAME_PATTERN,
  doc: 'The name of the key.',
}
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
const CURSOR: ParameterSpec = {
  name: 'cursor',
  kind: 'text',
  doc: 'The `next` of the page before. The other parameters must stay as they were.',
}
const FROM: ParameterSpec = {
  name: 'from',
  kind: 'time',
  defaultDoc: 'one hour before `to`',
  doc: 'Start of the span, itself included: ms since 1970 UTC, or RFC 3339.',
}
const TO: ParameterSpec = {
  name: 'to',
  kind: 'time',
  defaultDoc: 'now',
  doc: 'End of the span, itself excluded: ms since 1970 UTC, or RFC 3339.',
}
const limit = (max: number, standard: number): ParameterSpec => ({
  name: 'limit',
  kind: 'integer',
  min: 1,
  max,
  default: standard,
  doc: 'How many items a page has at most.',
})
const PAGE_OF_READINGS: readonly ParameterSpec[] = [
  limit(LIMITS.readingsPerPageMax, LIMITS.readingsPerPageDefault),
  CURSOR,
]

/** From 0 to 100, with up to three decimals. */
const PERCENTILE = '(?:100|\\d{1,2}(?:\\.\\d{1,3})?)'

const API_VERSION = '1.0.0'

export const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/devices',
    operationId: 'createDevice',
    summary: 'Register a device and get its credential',
    description: 'The secret is in this answer only: it is stored as a keyed hash.',
    access: 'devices:write',
    pathParameters: [],
    queryParameters: [],
    body: ref('NewDevice'),
    success: { status: 201, description: 'It exists now.', schema: ref('CreatedDevice') },
    failures: ['device_exists', 'payload_too_large', 'media_type_unsupported'],
    handle: createDevice,
  },
  {
    method: 'GET',
    path: '/v1/devices',
    operationId: 'listDevices',
    summary: 'List devices in the order of their ids',
    access: 'devices:read',
    pathParameters: [],
    queryParameters: [
      { name: 'q', kind: 'text', charsMax: 256, doc: 'Part of an id or a name, in any case.' },
      { name: 'include', kind: 'choice', choices: ['latest'], doc: '`latest`: newest values too.' },
      limit(LIMITS.devicesPerPageMax, LIMITS.devicesPerPageDefault),
      CURSOR,
    ],
    success: { status: 200, description: 'A page.', schema: ref('DeviceList') },
    failures: ['cursor_invalid'],
    handle: listDevices,
  },
  {
    method: 'GET',
    path: '/v1/devices/{id}',
    operationId: 'getDevice',
    summary: 'Get a device',
    access: 'devices:read',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    success: { status: 200, description: 'The device.', schema: ref('Device') },
    failures: ['device_not_found'],
    handle: getDevice,
  },
  {
    method: 'PATCH',
    path: '/v1/devices/{id}',
    operationId: 'updateDevice',
    summary: 'Change a device',
    description:
      'What is left out stays as it is. A connected device goes on under its new policy.',
    access: 'devices:write',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    body: ref('DeviceChange'),
    success: { status: 200, description: 'The device as it is now.', schema: ref('Device') },
    failures: ['device_not_found', 'payload_too_large', 'media_type_unsupported'],
    handle: updateDevice,
  },
  {
    method: 'DELETE',
    path: '/v1/devices/{id}',
    operationId: 'deleteDevice',
    summary: 'Delete a device and its credentials',
    description: 'It can no longer connect. What it measured stays stored until it expires.',
    access: 'devices:write',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    success: { status: 204, description: 'It is gone.' },
    failures: ['device_not_found'],
    handle: deleteDevice,
  },
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
  {
    method: 'GET',
    path: '/v1/audit',
    operationId: 'getAudit',
    summary: 'What the auditor found in each hour that begins in [from, to)',
    description:
      'Of your own tenant. An hour is the one in which the log took the records; it is absent where ' +
      'nothing arrived. `findingCount` is 0 where all that arrived is stored once, or dead-lettered.',
    access: 'audit:read',
    pathParameters: [],
    queryParameters: [{ ...FROM, defaultDoc: '24 hours before `to`' }, TO],
    success: { status: 200, description: 'The hours.', schema: ref('Audit') },
    failures: ['limit_exceeded'],
    handle: getAudit,
  },
  {
    method: 'POST',
    path: '/v1/keys',
    operationId: 'createKey',
    summary: 'Make an API key',
    description:
      'With at most the role and the scopes of the key that asks; a viewer where none is named.',
    access: 'keys:write',
    pathParameters: [],
    queryParameters: [],
    body: ref('NewKey'),
    success: { status: 201, description: 'It works now.', schema: ref('ShownKey') },
    failures: ['key_exists', 'payload_too_large', 'media_type_unsupported'],
    handle: createKey,
  },
  {
    method: 'GET',
    path: '/v1/keys',
    operationId: 'listKeys',
    summary: 'List keys in the order of their names',
    access: 'keys:read',
    pathParameters: [],
    queryParameters: [limit(LIMITS.keysPerPageMax, LIMITS.keysPerPageDefault), CURSOR],
    success: { status: 200, description: 'A page.', schema: ref('KeyList') },
    failures: ['cursor_invalid'],
    handle: listKeys,
  },
  {
    method: 'GET',
    path: '/v1/keys/{name}',
    operationId: 'getKey',
    summary: 'Get a key, without its secret',
    access: 'keys:read',
    pathParameters: [KEY_NAME],
    queryParameters: [],
    success: { status: 200, description: 'The key.', schema: ref('Key') },
    failures: ['key_not_found'],
    handle: getKey,
  },
  {
    method: 'POST',
    path: '/v1/keys/{name}/rotate',
    operationId: 'rotateKey',
    summary: 'Give a key another secret',
    description: 'The secret that it had works on for `overlapSeconds`, 0 where left out.',
    access: 'keys:write',
    pathParameters: [KEY_NAME],
    queryParameters: [],
    body: ref('KeyRotation'),
    success: { status: 200, description: 'The new secret.', schema: ref('ShownKey') },
    failures: ['key_not_found', 'payload_too_large', 'media_type_unsupported'],
    handle: rotateKey,
  },
  {
    method: 'DELETE',
    path: '/v1/keys/{name}',
    operationId: 'revokeKey',
    summary: 'Revoke a key',
    description: 'Requests and live sessions with it are refused within a second.',
    access: 'keys:write',
    pathParameters: [KEY_NAME],
    queryParameters: [],
    success: { status: 204, description: 'It is gone.' },
    failures: ['key_not_found'],
    handle: revokeKey,
  },
  {
    method: 'GET',
    path: '/v1/changes',
    operationId: 'listChanges',
    summary: 'Who changed what, newest first',
    access: 'changes:read',
    pathParameters: [],
    queryParameters: [
      { name: 'subject', kind: 'text', charsMax: 256, doc: 'Of this only, such as device/pump-1.' },
      { name: 'actor', kind: 'text', charsMax: 256, doc: 'By this one only, such as key:deploy.' },
      limit(LIMITS.changesPerPageMax, LIMITS.changesPerPageDefault),
      CURSOR,
    ],
    success: { status: 200, description: 'A page.', schema: ref('ChangeList') },
    failures: ['cursor_invalid'],
    handle: listChanges,
  },
  {
    method: 'GET',
    path: '/v1/about',
    operationId: 'getAbout',
    summary: 'What runs here, and where devices connect',
    description: '`mqttUrl` is what the option `publicMqttUrl` says; absent when it says nothing.',
    access: 'signed_in',
    pathParameters: [],
    queryParameters: [],
    success: { status: 200, description: 'About this system.', schema: ref('About') },
    failures: [],
    handle: getAbout,
  },
  {
    method: 'GET',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    summary: 'This document',
    access: 'public',
    pathParameters: [],
    queryParameters: [],
    success: { status: 200, description: 'OpenAPI 3.1.', schema: { type: 'object' } },
    failures: [],
    handle: async () => ({
      status: 200,
      body: openApiOf(ROUTES, API_VERSION),
      headers: { 'cache-control': 'no-cache' },
    }),
  },
]
