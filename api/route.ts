/**
 * What one endpoint is. Validation, dispatch and /openapi.json all read this same description, so
 * that none of them can disagree with another.
 */
import type { Actor } from '../devices/access/change-log.ts'
import type { Permission, Principal } from '../devices/access/permission.ts'
import type { FailureCode } from '../platform/failure-codes.ts'
import type { ApiParts } from './api-parts.ts'
import { parseTimeMs } from './time-parameter.ts'
import type { JsonSchema } from './json-schema.ts'
import { LIMITS } from './limits.ts'
import { invalid } from './problem.ts'

type Named = Readonly<{ name: string; doc: string; required?: boolean }>
export type ParameterSpec = Named &
  (
    | Readonly<{ kind: 'text'; pattern?: string; charsMin?: number; charsMax?: number }>
    | Readonly<{ kind: 'integer'; min: number; max: number; default?: number }>
    | Readonly<{ kind: 'time'; defaultDoc?: string }>
    | Readonly<{ kind: 'choice'; choices: readonly string[] }>
  )

/** The checked parameters of a request, path and query together. */
export class Parameters {
  readonly #values: ReadonlyMap<string, string | number>

  constructor(values: ReadonlyMap<string, string | number>) {
    this.#values = values
  }

  /** undefined when the client left it out. */
  text(name: string): string | undefined {
    const value = this.#values.get(name)
    return value === undefined ? undefined : String(value)
  }

  requiredText(name: string): string {
    const value = this.text(name)
    if (value === undefined) throw invalid(`${name} is missing.`, name)
    return value
  }

  integer(name: string): number | undefined {
    const value = this.#values.get(name)
    return value === undefined ? undefined : Number(value)
  }
}

export type Call = Readonly<{
  tenant: string
  /** Who asks, with all that they may do; undefined where anyone may ask. */
  principal: Principal | undefined
  /** How a change is signed. */
  by: Actor
  parameters: Parameters
  /** Of an If-Match header: the version that the change is meant for; undefined: whichever. */
  version: number | undefined
  /** Already held against the route's body schema; undefined where the route takes none. */
  body: unknown
}>

export type Reply = Readonly<{
  status: number
  /** undefined: no body. */
  body?: unknown
  headers?: Readonly<Record<string, string>>
}>

export type Route = Readonly<{
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `{name}` stands for one path segment and has a parameter of that name. */
  path: string
  operationId: string
  summary: string
  description?: string
  /** What whoever asks must be allowed; signed_in: anything; public: anyone may ask. */
  access: Permission | 'signed_in' | 'public'
  pathParameters: readonly ParameterSpec[]
  queryParameters: readonly ParameterSpec[]
  body?: JsonSchema
  /** It takes If-Match, with the ETag of the version that is to be changed. */
  versioned?: true
  success: Readonly<{ status: number; description: string; schema?: JsonSchema }>
  failures: readonly FailureCode[]
  handle(parts: ApiParts, call: Call): Promise<Reply>
}>

/** One value from a path or a query, checked, or a Refusal that names it. */
export function parseParameter(spec: ParameterSpec, text: string): string | number {
  switch (spec.kind) {
    case 'text':
      return parseText(spec, text)
    case 'integer':
      return parseInteger(spec, text)
    case 'time':
      return parseTimeMs(spec.name, text)
    case 'choice': {
      if (spec.choices.includes(text)) return text
      throw invalid(`${spec.name} must be one of ${spec.choices.join(', ')}.`, spec.name)
    }
  }
}

function parseText(spec: ParameterSpec & { kind: 'text' }, text: string): string {
  const { name, pattern, charsMin = 0, charsMax = LIMITS.textParameterCharsMax } = spec
  if (text.length < charsMin) throw invalid(`${name} must not be empty.`, name)
  if (text.length > charsMax) throw invalid(`${name} is longer than ${charsMax}.`, name)
  // Postgres cannot hold U+0000, so nothing we keep can match it.
  if (text.includes('\0')) throw invalid(`${name} must not contain U+0000.`, name)
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(text)) {
    throw invalid(`${name} must match ${pattern}. ${spec.doc}`, name)
  }
  return text
}

function parseInteger(spec: ParameterSpec & { kind: 'integer' }, text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN
  if (value >= spec.min && value <= spec.max) return value
  throw invalid(`${spec.name} must be an integer from ${spec.min} to ${spec.max}.`, spec.name)
}

export function schemaOfParameter(spec: ParameterSpec): JsonSchema {
  switch (spec.kind) {
    case 'text':
      return {
        type: 'string',
        minLength: spec.charsMin ?? 0,
        maxLength: spec.charsMax ?? LIMITS.textParameterCharsMax,
        ...(spec.pattern === undefined ? {} : { pattern: spec.pattern }),
      }
    case 'integer':
      return {
        type: 'integer',
        minimum: spec.min,
        maximum: spec.max,
        ...(spec.default === undefined ? {} : { default: spec.default }),
      }
    case 'time':
      return {
        oneOf: [
          { type: 'integer', minimum: 0, maximum: LIMITS.timeMsMax },
          { type: 'string', format: 'date-time' },
        ],
      }
    case 'choice':
      return { type: 'string', enum: spec.choices }
  }
}
