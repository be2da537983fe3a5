/** From a request to its route and back: match, authenticate, check, call, answer. */
import type { Principal } from '../devices/access/permission.ts'
import type { HttpRequest, HttpResponse } from '../platform/http/http-exchange.ts'
import type { ApiParts } from './api-parts.ts'
import { type Authenticator, demand } from './access/authenticator.ts'
import { BodyChecker } from './json-schema.ts'
import { LIMITS } from './limits.ts'
import { invalid, Refusal } from './problem.ts'
import { Parameters, parseParameter, type Reply, type Route } from './route.ts'
import { SCHEMAS } from './schemas.ts'
import { parseStrictJson } from './strict-json.ts'

const BODIES = new BodyChecker(SCHEMAS)

type Match = Readonly<{ route: Route; segments: ReadonlyMap<string, string> }>

export class Dispatcher {
  readonly #routes: readonly Readonly<{ route: Route; segments: readonly string[] }>[]
  readonly #parts: ApiParts
  readonly #authenticator: Authenticator

  constructor(routes: readonly Route[], parts: ApiParts, authenticator: Authenticator) {
    this.#routes = routes.map((route) => ({ route, segments: route.path.split('/') }))
    this.#parts = parts
    this.#authenticator = authenticator
  }

  /** The route of a request: undefined when no path fits, a Refusal when only the method does not. */
  match(method: string, path: string): Match | undefined {
    const asked = path.split('/')
    const allowed: string[] = []
    for (const { route, segments } of this.#routes) {
      const values = fit(segments, asked)
      if (values === undefined) continue
      // HEAD is GET without the body, which the server leaves out.
      if (route.method === method || (route.method === 'GET' && method === 'HEAD')) {
        return { route, segments: values }
      }
      allowed.push(route.method === 'GET' ? 'GET, HEAD' : route.method)
    }
    if (allowed.length === 0) return undefined
    const allow = allowed.join(', ')
    const text = `${method} is not offered here; ${allow} is.`
    throw new Refusal('method_not_allowed', text, { headers: { allow } })
  }

  async answer({ route, segments }: Match, request: HttpRequest): Promise<HttpResponse> {
    const principal = await this.#whoAsks(route, request)
    const by = { name: principal?.name ?? '', address: request.remoteAddress }
    const tenant = principal?.tenant ?? ''
    const parameters = parametersOf(route, segments, request.query)
    const body = route.body === undefined ? noBody(request) : bodyOf(route, request)
    const version = route.versioned === true ? versionIn(request) : undefined
    const call = { tenant, principal, by, parameters, version, body }
    return responseOf(await route.handle(this.#parts, call))
  }

  async #whoAsks(route: Route, request: HttpRequest): Promise<Principal | undefined> {
    if (route.access === 'public') return undefined
    const principal = await this.#authenticator.ofHeader(request.headers.get('authorization'))
    if (route.access !== 'signed_in') demand(principal, route.access)
    return principal
  }
}

/** The values of the `{…}` segments, still encoded; undefined when the path is another. */
function fit(
  segments: readonly string[],
  asked: readonly string[],
): ReadonlyMap<string, string> | undefined {
  if (segments.length !== asked.length) return undefined
  const values = new Map<string, string>()
  for (const [index, segment] of segments.entries()) {
    const given = asked[index] ?? ''
    if (segment.startsWith('{')) values.set(segment.slice(1, -1), given)
    else if (segment !== given) return undefined
  }
  return values
}

function parametersOf(
  route: Route,
  segments: ReadonlyMap<string, string>,
  query: string,
): Parameters {
  const values = new Map<string, string | number>()
  for (const spec of route.pathParameters) {
    const text = decoded(segments.get(spec.name) ?? '', spec.name)
    values.set(spec.name, parseParameter(spec, text))
  }
  const given = queryOf(query)
  const known = new Set(route.queryParameters.map((spec) => spec.name))
  for (const name of given.keys()) {
    if (known.has(name)) continue
    const offered = known.size === 0 ? 'none' : [...known].join(', ')
    throw invalid(`There is no parameter ${JSON.stringify(name)} here; known: ${offered}.`, name)
  }
  for (const spec of route.queryParameters) {
    const text = given.get(spec.name)
    if (text !== undefined) values.set(spec.name, parseParameter(spec, text))
    else if (spec.required === true) throw invalid(`${spec.name} is missing.`, spec.name)
    else if (spec.kind === 'integer' && spec.default !== undefined) {
      values.set(spec.name, spec.default)
    }
  }
  return new Parameters(values)
}

function queryOf(query: string): ReadonlyMap<string, string> {
  if (query.length > LIMITS.queryBytesMax) {
    throw invalid(`The query is longer than ${LIMITS.queryBytesMax} bytes.`)
  }
  const values = new Map<string, string>()
  for (const pair of query === '' ? [] : query.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals), 'query')
    const text = decoded(equals < 0 ? '' : pair.slice(equals + 1), name)
    if (values.has(name))
      throw invalid(`The parameter ${JSON.stringify(name)} is there twice.`, name)
    values.set(name, text)
  }
  return values
}

function decoded(text: string, name: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'))
  } catch {
    throw invalid(`${name} is not percent-encoded UTF-8.`, name)
  }
}

/** RFC 9110 §13.1.1; `*` is whichever version there is. One strong ETag, as we give them out. */
function versionIn(request: HttpRequest): number | undefined {
  const header = request.headers.get('if-match')
  if (header === undefined || header.trim() === '*') return undefined
  const version = /^"(\d{1,15})"$/.exec(header.trim())?.[1]
  if (version === undefined) {
    throw invalid('If-Match must be one ETag of ours, such as "3", or *.', 'If-Match')
  }
  return Number(version)
}

/** A body where none belongs is thrown away, as long as it was small. */
function noBody(request: HttpRequest): undefined {
  if (request.body === 'too_large') throw tooLarge()
  return undefined
}

function bodyOf(route: Route, request: HttpRequest): unknown {
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;.*)?$/i.test(type)) {
    throw new Refusal('media_type_unsupported', 'Send the body as application/json.')
  }
  if (request.body === 'too_large') throw tooLarge()
  const value = parseStrictJson(request.body)
  const problem = BODIES.problem(value, route.body ?? {})
  if (problem !== undefined) throw invalid(problem.detail, problem.field || undefined)
  return value
}

const tooLarge = (): Refusal =>
  new Refusal('payload_too_large', `The body is larger than ${LIMITS.bodyBytesMax} bytes.`)

function responseOf(reply: Reply): HttpResponse {
  if (reply.body === undefined) {
    return {
      status: reply.status,
      headers: { 'cache-control': 'no-store', ...reply.headers },
      body: '',
    }
  }
  const headers = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...reply.headers,
  }
  return { status: reply.status, headers, body: JSON.stringify(reply.body) }
}
