/** What was answered is what /openapi.json promises: held by a full validator, not by our own. */
import assert from 'node:assert/strict'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { SCHEMAS } from '../schemas.ts'

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false })
ajv.addKeyword('components')
ajv.addSchema({ $id: 'weir', components: { schemas: SCHEMAS } })

/** Throws unless the body fits the schema of this name, to the last field. */
export function assertFits(name: string, body: unknown): void {
  const validate = ajv.getSchema(`weir#/components/schemas/${name}`)
  assert.ok(validate !== undefined, `no schema ${name}`)
  assert.ok(validate(body), `${name}: ${ajv.errorsText(validate.errors)}`)
}
