/**
 * The part of JSON Schema 2020-12 that our own schemas use, and a validator for request bodies.
 * The same objects are published in /openapi.json, so what is documented is what is enforced.
 */
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
  properties?: Readonly<Record<string, JsonSchema>>
  required?: readonly string[]
  additionalProperties?: boolean | JsonSchema
  oneOf?: readonly JsonSchema[]
}>
type JsonType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null'

type SchemaProblem = Readonly<{ field: string; detail: string }>
export type Definitions = Readonly<Record<string, JsonSchema>>

/** The first thing wrong with `value`, or undefined. `field` is a dotted path, '' for the whole. */
export function schemaProblem(
  value: unknown,
  schema: JsonSchema,
  definitions: Definitions,
  field = '',
): SchemaProblem | undefined {
  const target = resolved(schema, definitions)
  const types = typesOf(target)
  if (types.length > 0 && !types.some((type) => isType(value, type))) {
    return { field, detail: `${called(field)} must be ${types.join(' or ')}.` }
  }
  if (target.enum !== undefined && !target.enum.some((one) => one === value)) {
    return { field, detail: `${called(field)} must be one of ${target.enum.join(', ')}.` }
  }
  if (typeof value === 'string') return textProblem(value, target, field)
  if (typeof value === 'number') return numberProblem(value, target, field)
  if (isObject(value)) return objectProblem(value, { schema: target, definitions, field })
  return undefined
}

export function resolved(schema: JsonSchema, definitions: Definitions): JsonSchema {
  if (schema.$ref === undefined) return schema
  const target = definitions[schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)]
  if (target === undefined) throw new Error(`no schema ${schema.$ref}`)
  return target
}

function typesOf(schema: JsonSchema): readonly JsonType[] {
  if (schema.type === undefined) return []
  return typeof schema.type === 'string' ? [schema.type] : schema.type
}

/** Stored as UTF-8 it would silently become another character. */
const HALF_A_CHARACTER = /\p{Surrogate}/u

function textProblem(text: string, schema: JsonSchema, field: string): SchemaProblem | undefined {
  if (HALF_A_CHARACTER.test(text))
    return { field, detail: `${called(field)} is not valid Unicode.` }
  const { minLength = 0, maxLength = Infinity, pattern } = schema
  // JSON Schema counts characters, not UTF-16 units.
  let length = text.length
  if (length > maxLength || length < minLength * 2) length = Array.from(text).length
  if (length < minLength) return { field, detail: `${called(field)} is shorter than ${minLength}.` }
  if (length > maxLength) return { field, detail: `${called(field)} is longer than ${maxLength}.` }
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(text)) {
    return { field, detail: `${called(field)} must match ${pattern}.` }
  }
  return undefined
}

function numberProblem(
  value: number,
  schema: JsonSchema,
  field: string,
): SchemaProblem | undefined {
  const { minimum = -Infinity, maximum = Infinity } = schema
  if (value >= minimum && value <= maximum) return undefined
  return { field, detail: `${called(field)} must be from ${minimum} to ${maximum}.` }
}

function objectProblem(
  value: Readonly<Record<string, unknown>>,
  at: Readonly<{ schema: JsonSchema; definitions: Definitions; field: string }>,
): SchemaProblem | undefined {
  const { schema, definitions, field } = at
  const properties = schema.properties ?? {}
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name))
      return { field: under(field, name), detail: `${name} is missing.` }
  }
  for (const [name, member] of Object.entries(value)) {
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (known === undefined) {
      if (schema.additionalProperties !== false) continue
      return { field: under(field, name), detail: `There is no field ${JSON.stringify(name)}.` }
    }
    const problem = schemaProblem(member, known, definitions, under(field, name))
    if (problem !== undefined) return problem
  }
  return undefined
}

function isType(value: unknown, type: JsonType): boolean {
  switch (type) {
    case 'object':
      return isObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isSafeInteger(value)
    case 'null':
      return value === null
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const called = (field: string): string => (field === '' ? 'The body' : field)
const under = (field: string, name: string): string => (field === '' ? name : `${field}.${name}`)
