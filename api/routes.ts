/** Every endpoint, in one table. What a route does is in the folder of its subject. */
import { getAbout } from './about-handler.ts'
import { ACCESS_ROUTES } from './access/access-routes.ts'
import { getAudit } from './audit/audit-handler.ts'
import { CREDENTIAL_ROUTES } from './devices/credential-routes.ts'
import { DEVICE_ROUTES } from './devices/device-routes.ts'
import { openApiOf } from './openapi.ts'
import { FROM, TO } from './parameters.ts'
import { READING_ROUTES } from './readings/reading-routes.ts'
import type { Route } from './route.ts'
import { ref } from './schemas.ts'

const API_VERSION = '1.0.0'

export const ROUTES: readonly Route[] = [
  ...DEVICE_ROUTES,
  ...CREDENTIAL_ROUTES,
  ...READING_ROUTES,
  ...ACCESS_ROUTES,
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
