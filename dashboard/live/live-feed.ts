/**
 * The client of /v1/live. It keeps one WebSocket, signs in with the first message, keeps every
 * subscription across reconnects, and tells its listeners when a snapshot arrives: what happened
 * while nobody listened is not in it, so a listener that draws history fetches the span again.
 *
 *   connecting ──hello──▶ live ◀──status──▶ still
 *        │                  └──────lost──────┴──▶ waiting ──time──▶ connecting
 *        └──refused (the key)──▶ refused                any ──close()──▶ closed
 *
 * `still`: the connection is good and every question is answered, but nothing new can come.
 */
import type {
  ClientMessage,
  LiveItem,
  LiveStatus,
  LiveStream,
  ServerMessage,
} from '../../api/contract/live.ts'
import { backoffMs } from './backoff.ts'

export type FeedState =
  | { kind: 'connecting'; lostAtMs: number | undefined }
  | { kind: 'live' }
  | { kind: 'still'; sinceMs: number; detail: string }
  | { kind: 'waiting'; lostAtMs: number; retryAtMs: number }
  | { kind: 'refused'; code: string; detail: string }
  | { kind: 'closed' }

/** Up to when this client was told what happens, where that has ended; else undefined. */
export function toldUntilMs(state: FeedState): number | undefined {
  if (state.kind === 'still') return state.sinceMs
  return state.kind === 'waiting' || state.kind === 'connecting' ? state.lostAtMs : undefined
}

export type Interest = Readonly<{
  stream: LiveStream
  devices: readonly string[]
  metrics: readonly string[]
  resolution?: '10s' | '1m'
}>
export type FeedEvent =
  | { kind: 'snapshot'; items: LiveItem[] }
  | { kind: 'update'; items: LiveItem[] }
  | { kind: 'refused'; code: string; detail: string }
export type FeedListener = (event: FeedEvent) => void

/** One WebSocket, opened and listened to; `lost` comes once, for whatever reason. */
export type Socket = { send(text: string): void; close(): void }
export type SocketEvents = Readonly<{
  opened: () => void
  heard: (data: unknown) => void
  lost: () => void
}>

export type LiveFeedOptions = Readonly<{
  key: string
  connect: (events: SocketEvents) => Socket
  nowMs: () => number
  chance: () => number
  /** A feed that says nothing this long is asked for a sign of life. */
  silenceMs?: number
  /** ... and is given up when none comes in this time. The same bound holds for the sign-in. */
  answerMs?: number
}>

type Subscription = { interest: Interest; listener: FeedListener; id: string }
type Timer = ReturnType<typeof setTimeout>

export class LiveFeed {
  readonly #options: LiveFeedOptions
  readonly #subscriptions = new Set<Subscription>()
  readonly #watchers = new Set<(state: FeedState) => void>()
  #state: FeedState = { kind: 'closed' }
  #socket: Socket | undefined
  #turn = 0
  #attempt = 0
  #lastId = 0
  #timer: Timer | undefined

  constructor(options: LiveFeedOptions) {
    this.#options = options
  }

  get state(): FeedState {
    return this.#state
  }

  get #isOpen(): boolean {
    return this.#state.kind === 'live' || this.#state.kind === 'still'
  }

  start(): void {
    if (this.#socket === undefined) this.#connect(undefined)
  }

  /** Connects now instead of at the end of the wait. */
  retryNow(): void {
    if (this.#state.kind === 'waiting') this.#connect(this.#state.lostAtMs)
  }

  /** For when the browser knows better: the network went away. */
  lost(): void {
    if (this.#isOpen || this.#state.kind === 'connecting') this.#onLost()
  }

  close(): void {
    this.#drop()
    this.#become({ kind: 'closed' })
  }

  watch(watcher: (state: FeedState) => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** The answer ends the subscription. Events come only while it stands. */
  subscribe(interest: Interest, listener: FeedListener): () => void {
    const subscription = { interest, listener, id: '' }
    this.#subscriptions.add(subscription)
    if (this.#isOpen) this.#ask(subscription)
    return () => {
      this.#subscriptions.delete(subscription)
      if (this.#isOpen) this.#send({ type: 'unsubscribe', id: subscription.id })
    }
  }

  #connect(lostAtMs: number | undefined): void {
    this.#drop()
    this.#become({ kind: 'connecting', lostAtMs })
    // A socket that was given up may still speak: only the current one is heard.
    const turn = ++this.#turn
    const ifCurrent = (act: () => void) => (turn === this.#turn ? act() : undefined)
    this.#socket = this.#options.connect({
      opened: () => ifCurrent(() => this.#send({ type: 'hello', key: this.#options.key })),
      heard: (data) => ifCurrent(() => this.#onText(data)),
      lost: () => ifCurrent(() => this.#onLost()),
    })
    this.#after(this.#options.answerMs ?? 10_000, () => this.#onLost())
  }

  #onText(data: unknown): void {
    if (typeof data !== 'string') return
    // The other side is our own api and its contract: checked there, trusted here.
    const message = JSON.parse(data) as ServerMessage
    if (message.type === 'hello') {
      this.#attempt = 0
      this.#become({ kind: 'live' })
      for (const subscription of this.#subscriptions) this.#ask(subscription)
    } else if (message.type === 'status') {
      this.#onStatus(message)
    } else {
      this.#onMessage(message)
    }
    if (this.#isOpen) this.#expectLife()
  }

  #onStatus(status: LiveStatus): void {
    if (!this.#isOpen) return
    if (status.flowing) this.#become({ kind: 'live' })
    else this.#become({ kind: 'still', sinceMs: status.sinceMs, detail: status.detail })
  }

  #onMessage(message: Exclude<ServerMessage, { type: 'hello' | 'status' }>): void {
    if (message.type === 'error' && message.id === undefined) {
      if (this.#state.kind !== 'connecting') return
      this.#drop()
      this.#become({ kind: 'refused', code: message.code, detail: message.detail })
      return
    }
    for (const { id, listener } of this.#subscriptions) {
      if (id !== message.id) continue
      if (message.type === 'error') {
        listener({ kind: 'refused', code: message.code, detail: message.detail })
      } else if (message.type === 'snapshot' || message.type === 'update') {
        listener({ kind: message.type, items: message.items })
      }
    }
  }

  #onLost(): void {
    const nowMs = this.#options.nowMs()
    const lostAtMs = toldUntilMs(this.#state) ?? nowMs
    this.#drop()
    const waitMs = backoffMs(this.#attempt++, this.#options.chance())
    this.#become({ kind: 'waiting', lostAtMs, retryAtMs: nowMs + waitMs })
    this.#after(waitMs, () => this.#connect(lostAtMs))
  }

  #ask(subscription: Subscription): void {
    subscription.id = String(++this.#lastId)
    const { stream, devices, metrics, resolution } = subscription.interest
    const message = { stream, devices: [...devices], metrics: [...metrics], id: subscription.id }
    const chosen = resolution === undefined ? {} : { resolution }
    this.#send({ type: 'subscribe', ...message, ...chosen })
  }

  /**
   * A browser cannot see pings, and a half-open connection is silent for ever. A quiet fleet is
   * silent too; asking for one subscription again tells them apart, as it must bring a snapshot.
   */
  #expectLife(): void {
    this.#after(this.#options.silenceMs ?? 25_000, () => {
      const [first] = this.#subscriptions
      if (first === undefined) return this.#expectLife()
      this.#send({ type: 'unsubscribe', id: first.id })
      this.#ask(first)
      this.#after(this.#options.answerMs ?? 10_000, () => this.#onLost())
    })
  }

  #send(message: ClientMessage): void {
    this.#socket?.send(JSON.stringify(message))
  }

  #drop(): void {
    clearTimeout(this.#timer)
    this.#turn++
    this.#socket?.close()
    this.#socket = undefined
  }

  #after(waitMs: number, act: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(act, waitMs)
  }

  #become(state: FeedState): void {
    this.#state = state
    for (const watcher of this.#watchers) watcher(state)
  }
}
