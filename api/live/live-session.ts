/**
 * One WebSocket of the live feed: hello, subscriptions, frames.
 *
 *   waiting ──hello, good key──▶ open ──close, drain, key revoked──▶ closed
 *      └──10 s, bad key, anything else first──▶ closed
 *
 * A frame is sent only while the socket holds few unread bytes; what waits meanwhile is bounded by
 * its subscription. So a client that does not read costs a fixed amount, and catches up when it does.
 */
import { mayDo, type Principal } from '../../devices/access/permission.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import type { ServerSocket, SocketHandler } from '../../platform/http/http-exchange.ts'
import type { FailureCode } from '../../platform/failure-codes.ts'
import type { LiveStatus, ServerMessage } from '../contract/live.ts'
import { LIMITS } from '../limits.ts'
import type { Authenticator } from '../access/authenticator.ts'
import { type CheckedMessage, MessageRefusal, parseClientMessage } from './client-message.ts'
import type { HistoryLoader } from './history-loader.ts'
import type { LiveFlow } from './live-flow.ts'
import type { LiveHub, Reader } from './live-hub.ts'
import { type Frame, type Interest, Subscription } from './subscription.ts'

export type LiveSessionParts = Readonly<{
  hub: LiveHub
  flow: LiveFlow
  history: HistoryLoader
  authenticator: Authenticator
  metrics: Metrics
  logger: Logger
}>

/** Whoever holds the sessions. */
export type SessionOwner = Readonly<{
  closed(session: LiveSession): void
  subscriptionsChanged(by: number): void
}>

/** RFC 6455 §7.4.1 */
export const CLOSE = { goingAway: 1001, policy: 1008, tooBig: 1009, tryLater: 1013 } as const

const SUBSCRIPTION_BOUNDS = {
  stepsMax: LIMITS.liveStepsMax,
  pendingMax: LIMITS.livePendingSeriesMax,
  bytesMax: LIMITS.livePendingBytesMax,
}
const FRAME_BOUNDS = { itemsMax: LIMITS.liveFrameItemsMax, bytesMax: LIMITS.liveFrameBytesMax }

type Open = Readonly<{ subscription: Subscription; leave: () => void; load: AbortController }>

export class LiveSession implements Reader, SocketHandler {
  readonly #parts: LiveSessionParts
  readonly #socket: ServerSocket
  readonly #owner: SessionOwner
  readonly #helloTimer: NodeJS.Timeout
  readonly #subscriptions = new Map<string, Open>()
  #state: 'waiting' | 'checking' | 'open' | 'closed' = 'waiting'
  #tenant = ''
  #key = ''

  constructor(parts: LiveSessionParts, socket: ServerSocket, owner: SessionOwner) {
    this.#parts = parts
    this.#socket = socket
    this.#owner = owner
    this.#helloTimer = setTimeout(() => {
      this.#refuse('unauthenticated', `No hello came within ${LIMITS.liveHelloMsMax} ms.`)
    }, LIMITS.liveHelloMsMax)
  }

  message(text: string | undefined): void {
    if (this.#state === 'closed') return
    if (text !== undefined && Buffer.byteLength(text) > LIMITS.liveMessageBytesMax) {
      this.#error('limit_exceeded', `A message has at most ${LIMITS.liveMessageBytesMax} bytes.`)
      return this.close(CLOSE.tooBig, 'message too large')
    }
    // Answers are not conflated: who asks without end and never reads is not served.
    if (this.#socket.bufferedBytes > LIMITS.liveSocketBytesMax * 4) {
      return this.close(CLOSE.policy, 'answers are not read')
    }
    try {
      this.#act(parseClientMessage(text))
    } catch (error) {
      if (!(error instanceof MessageRefusal)) throw error
      const { code, message } = error.refusal
      if (this.#state !== 'open') return this.#refuse(code, message)
      this.#error(code, message, error.id)
    }
  }

  drained(): void {
    this.flush()
  }

  closed(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    clearTimeout(this.#helloTimer)
    for (const id of this.#subscriptions.keys()) this.#leave(id)
    this.#owner.closed(this)
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
    this.closed()
  }

  /** Sends what waits, as far as the client reads. */
  flush(): void {
    if (this.#state !== 'open') return
    for (let sent = true; sent;) {
      sent = false
      for (const { subscription } of this.#subscriptions.values()) {
        if (this.#socket.bufferedBytes > LIMITS.liveSocketBytesMax) return this.#slow()
        const frame = subscription.nextFrame(FRAME_BOUNDS, () =>
          this.#parts.hub.snapshot(this.#tenant, subscription),
        )
        if (frame === undefined) continue
        this.#sendFrame(subscription.interest, frame)
        sent = subscription.hasWork || sent
      }
    }
  }

  /** Tells the client whether the feed moves. */
  status(status: LiveStatus): void {
    if (this.#state === 'open') this.#send({ type: 'status', ...status })
  }

  /** Ends the session if its key is no longer anybody's. A store that is down changes nothing. */
  async recheck(): Promise<void> {
    if (this.#state !== 'open') return
    const principal = await this.#parts.authenticator.of(this.#key).catch(() => 'unknown' as const)
    if (this.#state !== 'open' || principal === 'unknown') return
    if (principal?.tenant !== this.#tenant) {
      this.#refuse('unauthenticated', 'The API key is no longer valid.')
    } else if (!mayDo(principal, 'telemetry:read')) {
      this.#refuse('forbidden', 'The API key may no longer read telemetry.')
    }
  }

  #slow(): void {
    for (const { subscription } of this.#subscriptions.values()) {
      if (subscription.conflate()) this.#parts.metrics.add('weir_live_conflations_total')
    }
  }

  #act(message: CheckedMessage): void {
    if (message.type === 'hello') {
      if (this.#state !== 'waiting') return this.#error('request_invalid', 'hello came already.')
      this.#state = 'checking'
      void this.#hello(message.key)
      return
    }
    if (this.#state !== 'open') {
      return this.#refuse('unauthenticated', 'The first message must be hello, and be answered.')
    }
    if (message.type === 'subscribe') return this.#subscribe(message.interest)
    if (!this.#leave(message.id)) {
      this.#error('request_invalid', 'There is no subscription with this id.', message.id)
    }
  }

  async #hello(key: string): Promise<void> {
    let principal: Principal | undefined
    try {
      principal = await this.#parts.authenticator.of(key)
    } catch (error) {
      // Not a refusal: the very same hello can succeed soon, so the client is sent to try again.
      this.#parts.logger.warn('a hello cannot be checked now', { error })
      return this.close(CLOSE.tryLater, 'the key cannot be checked now')
    }
    // The socket may have closed meanwhile.
    if (this.#state !== 'checking') return
    if (principal === undefined) return this.#refuse('unauthenticated', 'The API key is not valid.')
    if (!mayDo(principal, 'telemetry:read')) {
      return this.#refuse('forbidden', 'The API key does not have the permission telemetry:read.')
    }
    clearTimeout(this.#helloTimer)
    this.#state = 'open'
    this.#tenant = principal.tenant
    this.#key = key
    this.#send({ type: 'hello' })
    const { status } = this.#parts.flow
    if (!status.flowing) this.status(status)
  }

  #subscribe(interest: Interest): void {
    const { id } = interest
    if (this.#subscriptions.has(id)) {
      return this.#error('request_invalid', 'There is a subscription with this id already.', id)
    }
    if (this.#subscriptions.size >= LIMITS.liveSubscriptionsMax) {
      const text = `A socket has at most ${LIMITS.liveSubscriptionsMax} subscriptions.`
      return this.#error('limit_exceeded', text, id)
    }
    const subscription = new Subscription(interest, SUBSCRIPTION_BOUNDS)
    const load = new AbortController()
    // Joined before anything is read: what happens from now on is in the snapshot, or follows it.
    const leave = this.#parts.hub.join(this.#tenant, subscription, this)
    this.#subscriptions.set(id, { subscription, leave, load })
    this.#owner.subscriptionsChanged(1)
    this.#parts.history.load(this.#tenant, interest, {
      signal: load.signal,
      ready: () => {
        subscription.startAgain()
        this.#parts.hub.wake(this)
      },
    })
  }

  #leave(id: string): boolean {
    const open = this.#subscriptions.get(id)
    if (open === undefined) return false
    open.load.abort()
    open.leave()
    this.#owner.subscriptionsChanged(-1)
    return this.#subscriptions.delete(id)
  }

  #sendFrame({ id, stream }: Interest, { type, items }: Frame): void {
    this.#parts.metrics.add('weir_live_items_total', items.length, { stream })
    const cursor = this.#parts.hub.cursor(stream)
    const head = `{"type":"${type}","id":${JSON.stringify(id)},"cursor":${JSON.stringify(cursor)}`
    this.#socket.send(`${head},"items":[${items.map((item) => item.json).join(',')}]}`)
  }

  #refuse(code: FailureCode, detail: string): void {
    this.#error(code, detail)
    this.close(CLOSE.policy, code)
  }

  #error(code: FailureCode, detail: string, id?: string): void {
    this.#send({ type: 'error', ...(id === undefined ? {} : { id }), code, detail })
  }

  #send(message: ServerMessage): void {
    this.#socket.send(JSON.stringify(message))
  }
}
