/**
 * The part of JSON Schema 2020-12 that our own schemas use, and what is wrong with a body by them.
 * The same objects are published in /openapi.json, so what is documented is what is enforced.
 */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'

export type JsonSchema = Readonly<{
  $ref?: string
  type?: JsonType | readonly JsonType[]
  description?: string
  format?: string
  enum?: readonly (string | number)[]
  const?: string | number | boolean
  default?: string | number
  examples?: readonly unknown[]
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  items?: JsonSchema
  maxItems?: number
  uniqueItems?: boolean
  properties?: Readonly<Record<string, JsonSchema>>
  required?: readonly string[]
  additionalProperties?: boolean | JsonSchema
  oneOf?: readonly JsonSchema[]
}>
type JsonType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null'

type SchemaProblem = Readonly<{ field: string; detail: string }>
export type Definitions = Readonly<Record<string, JsonSchema>>

/** Checks bodies against the schemas of one document; each is compiled when it is first needed. */
export class BodyChecker {
  readonly #ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false })
  readonly #compiled = new Map<JsonSchema, ValidateFunction>()

  constructor(definitions: Definitions) {
    this.#ajv.addKeyword('components')
    this.#ajv.addSchema({ $id: 'weir', components: { schemas: definitions } })
  }

  /** The first thing wrong with `value`, or undefined. `field` is a dotted path, '' for the whole. */
  problem(value: unknown, schema: JsonSchema): SchemaProblem | undefined {
    const validate = this.#validatorOf(schema)
    if (validate(value)) return textProblem(value)
    const [error] = validate.errors ?? []
    return error === undefined ? { field: '', detail: 'The body is not valid.' } : told(error)
  }

  #validatorOf(schema: JsonSchema): ValidateFunction {
    const known = this.#compiled.get(schema)
    if (known !== undefined) return known
    const { $ref } = schema
    const validate = this.#ajv.compile($ref === undefined ? schema : { $ref: `weir${$ref}` })
    this.#compiled.set(schema, validate)
    return validate
  }
}

function told({ keyword, instancePath, params, message }: ErrorObject): SchemaProblem {
  const at = instancePath
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  const of = (name: unknown): string => [...at, String(name)].join('.')
  if (keyword === 'required') {
    const missing = of(params['missingProperty'])
    return { field: missing, detail: `${missing} is missing.` }
  }
  if (keyword === 'additionalProperties') {
    const extra = String(params['additionalProperty'])
    return { field: of(extra), detail: `There is no field ${JSON.stringify(extra)}.` }
  }
  const field = at.join('.')
  const choices = keyword === 'enum' ? `: ${JSON.stringify(params['allowedValues'])}` : ''
  return { field, detail: `${field === '' ? 'The body' : field} ${message}${choices}.` }
}

/** Stored as UTF-8 it would silently become another character. */
const HALF_A_CHARACTER = /\p{Surrogate}/u

/** Half characters anywhere, in names as well: JSON Schema knows no word for them. */
function textProblem(value: unknown, field = ''): SchemaProblem | undefined {
  if (typeof value === 'string' && HALF_A_CHARACTER.test(value)) {
    return { field, detail: `${field === '' ? 'The body' : field} is not valid Unicode.` }
  }
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, member] of Object.entries(value)) {
    const path = field === '' ? name : `${field}.${name}`
    if (HALF_A_CHARACTER.test(name)) {
      return { field: field || 'body', detail: 'The name of a field is not valid Unicode.' }
    }
    const problem = textProblem(member, path)
    if (problem !== undefined) return problem
  }
  return undefined
}
