/** The api's HTTP server: the route table, the dashboard's files and the live feed on one port. */
import type { Clock } from '../platform/clock.ts'
import type { StaticFiles } from '../platform/http/static-files.ts'
import type { SocketRoute } from '../platform/http/http-exchange.ts'
import { HttpServer } from '../platform/http/uws-server.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { Metrics } from '../platform/observe/metrics.ts'
import type { ApiParts } from './api-parts.ts'
import type { Authenticator } from './access/authenticator.ts'
import { Dispatcher } from './dispatch.ts'
import { LIMITS } from './limits.ts'
import { problemResponse } from './problem.ts'
import { RequestHandler } from './request-handler.ts'
import { ROUTES } from './routes.ts'

type ApiServerParts = Readonly<{
  host: string
  port: number
  parts: ApiParts
  authenticator: Authenticator
  dashboard: StaticFiles | undefined
  sockets: readonly SocketRoute[]
  onDrain: () => void
  logger: Logger
  metrics: Metrics
  clock: Clock
}>

export function createApiServer(options: ApiServerParts): HttpServer {
  const { parts, authenticator, dashboard, logger, metrics, clock } = options
  const dispatcher = new Dispatcher(ROUTES, parts, authenticator)
  const handler = new RequestHandler({ dispatcher, dashboard, logger, metrics, clock })
  return new HttpServer({
    name: 'api-server',
    host: options.host,
    port: options.port,
    portOption: 'apiPort',
    bodyBytesMax: LIMITS.bodyBytesMax,
    handle: (request) => handler.handle(request),
    onDefect: problemResponse,
    sockets: options.sockets,
    onDrain: options.onDrain,
  })
}
