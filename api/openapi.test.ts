/** /openapi.json is a sound OpenAPI 3.1 document, and what the api answers fits it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { FAILURE_CODES } from '../platform/failure-codes.ts'
import type { JsonSchema } from './json-schema.ts'
import { LIMITS } from './limits.ts'
import { openApiOf } from './openapi.ts'
import { problemOf, Refusal } from './problem.ts'
import { ROUTES } from './routes.ts'
import { SCHEMAS } from './schemas.ts'

type Json = Readonly<Record<string, unknown>>
const document = JSON.parse(JSON.stringify(openApiOf(ROUTES, '1.0.0'))) as Json

/** Every value in the document, with the path to it. */
function* walk(value: unknown, path = '#'): Generator<readonly [string, unknown]> {
  yield [path, value]
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) yield* walk(member, `${path}/${name}`)
}

function at(path: string): unknown {
  let found: unknown = document
  for (const name of path.slice(2).split('/')) found = (found as Json | undefined)?.[name]
  return found
}

function validator(name: string): ValidateFunction {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false })
  ajv.addKeyword('components')
  ajv.addSchema({ $id: 'weir', components: { schemas: SCHEMAS } })
  return ajv.compile({ $ref: `weir#/components/schemas/${name}` })
}

describe('openapi.json', () => {
  it('says 3.1, its dialect and what may be done', () => {
    assert.equal(document['openapi'], '3.1.0')
    assert.deepEqual(Object.keys(document['paths'] as Json).sort(), [
      '/openapi.json',
      '/v1/about',
      '/v1/audit',
      '/v1/changes',
      '/v1/devices',
      '/v1/devices/{id}',
      '/v1/devices/{id}/credentials',
      '/v1/devices/{id}/credentials/{name}',
      '/v1/devices/{id}/credentials/{name}/rotate',
      '/v1/devices/{id}/explain',
      '/v1/devices/{id}/latest',
      '/v1/devices/{id}/readings',
      '/v1/devices/{id}/rollups',
      '/v1/devices/{id}/state',
      '/v1/keys',
      '/v1/keys/{name}',
      '/v1/keys/{name}/rotate',
    ])
    assert.deepEqual(document['x-limits'], { ...LIMITS })
  })

  it('has no reference that leads nowhere', () => {
    const refs = [...walk(document)].filter(([path]) => path.endsWith('/$ref'))
    assert.ok(refs.length > 10)
    for (const [path, target] of refs)
      assert.ok(at(String(target)) !== undefined, `${path} ${String(target)}`)
  })

  it('describes every operation once: id, parameters of its path, answers', () => {
    const ids = ROUTES.map((route) => route.operationId)
    assert.equal(new Set(ids).size, ids.length)
    for (const route of ROUTES) {
      const operation = at(`#/paths`) as Record<string, Record<string, Json>>
      const found = operation[route.path]?.[route.method.toLowerCase()]
      assert.ok(found !== undefined)
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
      assert.deepEqual(
        route.pathParameters.map((one) => one.name),
        inPath,
      )
      const responses = found['responses'] as Json
      assert.ok(responses[route.success.status] !== undefined)
      for (const code of route.failures)
        assert.ok(responses[FAILURE_CODES[code].status] !== undefined)
      const parameters = (found['parameters'] ?? []) as readonly Json[]
      const names = parameters.map((one) => `${String(one['in'])} ${String(one['name'])}`)
      assert.equal(new Set(names).size, names.length)
      for (const one of parameters)
        assert.ok(one['schema'] !== undefined && one['description'] !== '')
    }
  })

  it('holds only schemas that JSON Schema 2020-12 understands', () => {
    for (const name of Object.keys(SCHEMAS)) validator(name)
    const ajv = new Ajv2020({ strict: true, validateFormats: false, allowUnionTypes: true })
    for (const [path, value] of walk(document['paths'])) {
      if (path.endsWith('/schema') && !('$ref' in (value as JsonSchema)))
        ajv.compile(value as object)
    }
  })

  it('describes the problems that are answered', () => {
    const isProblem = validator('Problem')
    for (const code of Object.keys(FAILURE_CODES) as (keyof typeof FAILURE_CODES)[]) {
      assert.ok(isProblem(problemOf(new Refusal(code, 'why', { field: 'f' }))), code)
    }
    assert.ok(isProblem(problemOf(new TypeError('a defect'))))
    assert.ok(!JSON.stringify(problemOf(new TypeError('a secret'))).includes('secret'))
  })
})
