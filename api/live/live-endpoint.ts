/** /v1/live as the server sees it: who may connect, how many, and how they are sent away. */
import type { HttpRequest, HttpResponse, SocketRoute } from '../../platform/http/http-exchange.ts'
import { LIMITS } from '../limits.ts'
import { problemResponse, Refusal } from '../problem.ts'
import { CLOSE, LiveSession, type LiveSessionParts, type SessionOwner } from './live-session.ts'

/** A key that was revoked, or has expired, ends its sessions within this time. */
const RECHECK_MS = 500

type LiveEndpointOptions = LiveSessionParts &
  Readonly<{
    /** Origins, besides our own host, whose pages may connect. */
    allowedOrigins: readonly string[]
  }>

export class LiveEndpoint implements SessionOwner {
  readonly #options: LiveEndpointOptions
  readonly #sessions = new Set<LiveSession>()
  readonly #recheck: NodeJS.Timeout
  readonly #unwatch: () => void
  #draining = false
  #subscriptions = 0

  constructor(options: LiveEndpointOptions) {
    this.#options = options
    this.#recheck = setInterval(() => {
      for (const session of this.#sessions) void session.recheck()
    }, RECHECK_MS)
    this.#recheck.unref()
    this.#unwatch = options.flow.watch((status) => {
      for (const session of this.#sessions) session.status(status)
    })
  }

  route(): SocketRoute {
    return {
      path: '/v1/live',
      // Twice ours, so that a message somewhat too large gets a sentence instead of a cut line.
      messageBytesMax: LIMITS.liveMessageBytesMax * 2,
      idleTimeoutSeconds: 60,
      refuse: (request) => this.#refuse(request),
      opened: (socket) => {
        const session = new LiveSession(this.#options, socket, this)
        this.#sessions.add(session)
        this.#count()
        return session
      },
    }
  }

  /** Says goodbye to everyone; clients connect to whoever takes over. */
  drain(): void {
    this.#draining = true
    clearInterval(this.#recheck)
    this.#unwatch()
    for (const session of this.#sessions) session.close(CLOSE.goingAway, 'shutting down')
    this.#options.hub.stop()
  }

  closed(session: LiveSession): void {
    this.#sessions.delete(session)
    this.#count()
  }

  subscriptionsChanged(by: number): void {
    this.#subscriptions += by
    this.#count()
  }

  #count(): void {
    this.#options.metrics.set('weir_live_sockets', this.#sessions.size)
    this.#options.metrics.set('weir_live_subscriptions', this.#subscriptions)
  }

  #refuse(request: HttpRequest): HttpResponse | undefined {
    if (this.#draining) return problemResponse(new Refusal('shutting_down', 'Connect again.'))
    if (this.#sessions.size >= LIMITS.liveSocketsMax) {
      const text = `${LIMITS.liveSocketsMax} sockets are open already.`
      return problemResponse(new Refusal('overloaded', text))
    }
    if (this.#mayConnect(request.headers.get('origin'), request.headers.get('host')))
      return undefined
    const text = 'Pages of this origin may not connect. See the option apiAllowedOrigins.'
    return problemResponse(new Refusal('forbidden', text, { field: 'origin' }))
  }

  /** Browsers always say their origin; programs, which cannot be tricked by a page, do not. */
  #mayConnect(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined || origin === '') return true
    if (this.#options.allowedOrigins.includes(origin)) return true
    return URL.canParse(origin) && new URL(origin).host === host
  }
}
