/**
 * The private port of every process, for orchestrators and Prometheus:
 *
 *   GET /healthz   200 while the process works; 503 with the reasons, or no answer at all: restart it
 *   GET /readyz    200, or 503 with the reasons: send no traffic, but leave it running
 *   GET /metrics   Prometheus text format
 *
 * Plain node:http on purpose: it must answer when the fast server is what is broken.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Metrics } from '../observe/metrics.ts'
import type { Service } from '../lifecycle/service.ts'
import { listenFailure } from './listen-failure.ts'

export type AdminServerOptions = Readonly<{
  host: string
  /** 0 takes any free port. */
  port: number
  metrics: Metrics
  /** Sentences that say why no traffic should come; empty when ready. */
  notReady: () => readonly string[]
  /** Sentences that say why only a new process can help; absent or empty while it lives. */
  stalled?: () => readonly string[]
}>

export class AdminServer implements Service {
  readonly name = 'admin'
  /** A listening server has no way to die by itself. */
  readonly failure = new Promise<never>(() => {})
  readonly #options: AdminServerOptions
  readonly #server: Server

  constructor(options: AdminServerOptions) {
    this.#options = options
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  start(): Promise<void> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(listenFailure(error, { host, port, option: 'adminPort' })),
      )
      this.#server.listen(port, host, resolve)
    })
  }

  /** Where it listens, such as http://127.0.0.1:9464. Only after start(). */
  get url(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return `http://${host}:${address.port}`
  }

  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return sendJson(response, 405, { error: 'method_not_allowed' })
    }
    switch (path ?? '') {
      case '/healthz': {
        const reasons = this.#options.stalled?.() ?? []
        if (reasons.length === 0) return sendJson(response, 200, { status: 'ok' })
        return sendJson(response, 503, { status: 'stalled', reasons })
      }
      case '/readyz': {
        const reasons = this.#options.notReady()
        return sendJson(response, reasons.length === 0 ? 200 : 503, {
          ready: reasons.length === 0,
          reasons,
        })
      }
      case '/metrics': {
        const { contentType, body } = await this.#options.metrics.expose()
        response.writeHead(200, { 'content-type': contentType }).end(body)
        return
      }
      default:
        return sendJson(response, 404, { error: 'not_found' })
    }
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(`${JSON.stringify(body)}\n`)
}
