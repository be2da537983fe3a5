/** Errors as RFC 9457 problem documents, with our codes. */
import { FAILURE_CODES, type FailureCode } from '../platform/failure-codes.ts'
import { Failure } from '../platform/failure.ts'
import type { HttpResponse } from '../platform/http/http-exchange.ts'
import type { Problem } from './contract/resources.ts'

const RETRY_AFTER_MS = 1_000

/** A refusal of a request: what a client did, or cannot have. Thrown by handlers and checks. */
export class Refusal extends Failure {
  /** The field or parameter it is about. */
  readonly field: string | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: FailureCode,
    detail: string,
    more: Readonly<{ field?: string; headers?: Readonly<Record<string, string>> }> = {},
  ) {
    super(code, detail)
    this.field = more.field
    this.headers = more.headers ?? {}
  }
}

export const invalid = (detail: string, field?: string): Refusal =>
  new Refusal('request_invalid', detail, field === undefined ? {} : { field })

/** The answer for anything that was thrown. A defect's text stays with us: it may hold secrets. */
export function problemResponse(error: unknown): HttpResponse {
  const problem = problemOf(error)
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    ...(error instanceof Refusal ? error.headers : {}),
  }
  if (problem.retryAfterMs !== undefined) {
    headers['retry-after'] = String(Math.ceil(problem.retryAfterMs / 1000))
  }
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer'
  return { status: problem.status, headers, body: JSON.stringify(problem) }
}

export function problemOf(error: unknown): Problem {
  const failure = error instanceof Failure ? error : undefined
  const code = failure?.code ?? 'internal'
  const spec = FAILURE_CODES[code]
  const shown = spec.status < 500 || code === 'overloaded' || code === 'shutting_down'
  return {
    type: `urn:weir:error:${code}`,
    title: spec.title,
    status: spec.status,
    code,
    detail: shown && failure !== undefined ? failure.message : detailOf(code),
    ...(spec.status === 503 ? { retryAfterMs: RETRY_AFTER_MS } : {}),
    ...(failure instanceof Refusal && failure.field !== undefined ? { field: failure.field } : {}),
  }
}

const detailOf = (code: FailureCode): string =>
  code === 'unavailable'
    ? 'A database does not answer at the moment. The same request can succeed later.'
    : 'Something went wrong on our side; it is in our log.'
