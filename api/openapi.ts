/** /openapi.json, generated from the route table. */
import { isPermission } from '../devices/access/permission.ts'
import { FAILURE_CODES, type FailureCode } from '../platform/failure-codes.ts'
import type { JsonSchema } from './json-schema.ts'
import { LIMITS } from './limits.ts'
import { type ParameterSpec, type Route, schemaOfParameter } from './route.ts'
import { ref, SCHEMAS } from './schemas.ts'

type Json = Readonly<Record<string, unknown>>

/** Failures that every route with a key can answer with. */
const EVERYWHERE: readonly FailureCode[] = ['request_invalid', 'internal']
const SIGNED_IN: readonly FailureCode[] = ['unauthenticated', 'unavailable', 'overloaded']

/** An OpenAPI 3.1 document of these routes. */
export function openApiOf(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const methods = (paths[route.path] ??= {})
    methods[route.method.toLowerCase()] = operationOf(route)
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'Weir',
      version,
      description:
        'Devices, what they measured, and exact rollups of it. Times are integer milliseconds ' +
        'since 1970 UTC. Errors are RFC 9457 problem documents with a `code`. New values arrive ' +
        'over a WebSocket at /v1/live.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } },
    },
    'x-limits': LIMITS,
  }
}

const IF_MATCH: Json = {
  name: 'If-Match',
  in: 'header',
  required: false,
  description: 'The ETag of the version to be changed. Left out, or *: whichever there is.',
  schema: { type: 'string', pattern: '^(?:"\\d{1,15}"|\\*)$' },
}

function operationOf(route: Route): Json {
  const parameters = [
    ...route.pathParameters.map((spec) => parameterOf(spec, 'path')),
    ...route.queryParameters.map((spec) => parameterOf(spec, 'query')),
    ...(route.versioned === true ? [IF_MATCH] : []),
  ]
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    security: route.access === 'public' ? [] : [{ apiKey: [] }],
    ...(isPermission(route.access) ? { 'x-permission': route.access } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: jsonContent(route.body) } }),
    responses: responsesOf(route),
  }
}

function parameterOf(spec: ParameterSpec, place: 'path' | 'query'): Json {
  const optional = spec.kind === 'time' && spec.defaultDoc !== undefined
  const hint = optional ? ` Left out: ${spec.defaultDoc}.` : ''
  return {
    name: spec.name,
    in: place,
    required: place === 'path' || spec.required === true,
    description: spec.doc + hint,
    schema: schemaOfParameter(spec),
  }
}

function responsesOf(route: Route): Json {
  const { status, description, schema } = route.success
  const responses: Record<string, Json> = {
    [status]: { description, ...(schema === undefined ? {} : { content: jsonContent(schema) }) },
  }
  const versioned: readonly FailureCode[] = route.versioned === true ? ['version_conflict'] : []
  const codes = [...EVERYWHERE, ...codesOf(route.access), ...versioned, ...route.failures]
  const byStatus = new Map<number, FailureCode[]>()
  for (const code of new Set(codes)) {
    const failed = FAILURE_CODES[code].status
    byStatus.set(failed, [...(byStatus.get(failed) ?? []), code])
  }
  for (const [failed, failures] of byStatus) {
    const text = failures.map((code) => `\`${code}\`: ${FAILURE_CODES[code].title}.`).join(' ')
    const content = { 'application/problem+json': { schema: ref('Problem') } }
    responses[failed] = { description: text, content }
  }
  return responses
}

function codesOf(access: Route['access']): readonly FailureCode[] {
  if (access === 'public') return []
  return isPermission(access) ? [...SIGNED_IN, 'forbidden'] : SIGNED_IN
}

const jsonContent = (schema: JsonSchema): Json => ({ 'application/json': { schema } })
