/** What happens to every request: bounds, routes, the dashboard's files, measurement, the log. */
import type { Clock } from '../platform/clock.ts'
import { Failure } from '../platform/failure.ts'
import type { StaticFiles } from '../platform/http/static-files.ts'
import type { HttpRequest, HttpResponse } from '../platform/http/http-exchange.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { Metrics } from '../platform/observe/metrics.ts'
import type { Dispatcher } from './dispatch.ts'
import { LIMITS } from './limits.ts'
import { problemResponse, Refusal } from './problem.ts'

type RequestHandlerParts = Readonly<{
  dispatcher: Dispatcher
  /** undefined: the dashboard is not built. */
  dashboard: StaticFiles | undefined
  logger: Logger
  metrics: Metrics
  clock: Clock
}>

const NOT_BUILT =
  'The api runs; the dashboard is not built. Run `npm run build`, then restart the api.\n'

export class RequestHandler {
  readonly #parts: RequestHandlerParts
  #inFlight = 0

  constructor(parts: RequestHandlerParts) {
    this.#parts = parts
  }

  async handle(request: HttpRequest): Promise<HttpResponse> {
    const { clock } = this.#parts
    const startedAtMs = clock.monotonicMs()
    const measured = { operation: 'none' }
    this.#inFlight += 1
    let response: HttpResponse
    try {
      response = await this.#answer(request, measured)
    } catch (error) {
      response = this.#failed(request, error)
    } finally {
      this.#inFlight -= 1
    }
    this.#record(request, response, { ...measured, tookMs: clock.monotonicMs() - startedAtMs })
    return response
  }

  async #answer(request: HttpRequest, measured: { operation: string }): Promise<HttpResponse> {
    const { dispatcher, dashboard } = this.#parts
    if (this.#inFlight > LIMITS.requestsInFlightMax) {
      const text = `${LIMITS.requestsInFlightMax} requests are being answered already.`
      throw new Refusal('overloaded', text)
    }
    const match = dispatcher.match(request.method, request.path)
    if (match !== undefined) {
      measured.operation = match.route.operationId
      return await dispatcher.answer(match, request)
    }
    if (request.path.startsWith('/v1/')) throw nothingAt(request)
    measured.operation = 'dashboard'
    if (request.method !== 'GET' && request.method !== 'HEAD') throw nothingAt(request)
    return dashboard?.answer(request) ?? withoutDashboard(request, dashboard)
  }

  /** A refusal is the client's to know; anything else is ours to look at. */
  #failed(request: HttpRequest, error: unknown): HttpResponse {
    const { logger } = this.#parts
    const fields = { method: request.method, path: request.path, error }
    if (!(error instanceof Failure) || error.code === 'internal') {
      logger.error('a request failed', fields)
    } else if (!(error instanceof Refusal)) {
      logger.warn('a request cannot be answered now', fields)
    }
    return problemResponse(error)
  }

  #record(
    request: HttpRequest,
    response: HttpResponse,
    measured: Readonly<{ operation: string; tookMs: number }>,
  ): void {
    const { metrics, logger } = this.#parts
    const { operation, tookMs } = measured
    metrics.add('weir_api_requests_total', 1, { operation, status: response.status })
    metrics.observe('weir_api_request_seconds', tookMs / 1000, { operation })
    // Without the query: values of parameters are the tenant's, not the log's.
    const { method, path } = request
    logger.debug('request', { method, path, operation, status: response.status, tookMs })
  }
}

function withoutDashboard(request: HttpRequest, built: StaticFiles | undefined): HttpResponse {
  if (built !== undefined || request.path !== '/') throw nothingAt(request)
  return { status: 200, headers: { 'content-type': 'text/plain' }, body: NOT_BUILT }
}

const nothingAt = (request: HttpRequest): Refusal =>
  new Refusal('not_found', `There is nothing at ${request.path.slice(0, 200)}.`)
