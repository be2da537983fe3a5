/** Our small validator and a full one (ajv) agree about every request body. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { schemaProblem } from './json-schema.ts'
import { ROUTES } from './routes.ts'
import { SCHEMAS } from './schemas.ts'

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true })
ajv.addKeyword('components')
ajv.addSchema({ $id: 'weir', components: { schemas: SCHEMAS } })

const text = fc.oneof(
  fc.constantFrom(
    '',
    'pump-1',
    'a/b',
    'x'.repeat(128),
    'x'.repeat(129),
    '😀'.repeat(256),
    '😀'.repeat(257),
    'a\n',
    '\u0000',
  ),
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 300 }),
)
const body = fc.oneof(
  fc.dictionary(
    fc.constantFrom('id', 'name', 'state', '__proto__', 'constructor'),
    fc.oneof(text, fc.jsonValue()),
  ),
  fc.record({ id: text, name: text }, { requiredKeys: ['id'] }),
  fc.jsonValue(),
)

for (const route of ROUTES) {
  const schema = route.body
  if (schema?.$ref === undefined) continue
  it(`bodies of ${route.operationId}`, () => {
    const validate = ajv.compile({ $ref: `weir${schema.$ref}` })
    const property = fc.property(body, (value) => {
      // As it would arrive: own members only, whatever they are called.
      const arrived: unknown = JSON.parse(JSON.stringify(value))
      assert.equal(schemaProblem(arrived, schema, SCHEMAS) === undefined, validate(arrived))
    })
    fc.assert(property, { numRuns: 1_000 })
  })
}
