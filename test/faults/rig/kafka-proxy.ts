/**
 * A TCP proxy in front of a Kafka broker that understands frames: rules see every request and its
 * response, and may hold it, drop it or cut the connection. That is how a fault hits the process at
 * a named point without a line of code for it in the process.
 *
 *   request   length i32 | apiKey i16 | apiVersion i16 | correlationId i32 | clientId string | …
 *   response  length i32 | correlationId i32 | …
 */
import { type Server, type Socket, connect, createServer } from 'node:net'

export const API = { produce: 0, fetch: 1, metadata: 3, offsetCommit: 8, joinGroup: 11 } as const

export type KafkaRequest = Readonly<{
  broker: number
  apiKey: number
  apiVersion: number
  correlationId: number
  clientId: string
  /** After the client id. */
  body: Buffer
}>
/** drop: the other side never sees it, the connection stays; cut: the connection ends. */
export type Passage = 'pass' | 'drop' | 'cut'
export type KafkaRule = Readonly<{
  /** Asked before the broker sees the request; the connection's later requests wait. */
  request?(request: KafkaRequest): Passage | Promise<Passage>
  /** Asked before the client sees the response. */
  response?(request: KafkaRequest, response: Buffer): Passage | Promise<Passage>
}>

/** Rules in force at this moment, shared by the proxies of several brokers. */
export class KafkaRules {
  readonly #rules = new Set<KafkaRule>()

  /** Gives what takes it away again. */
  add(rule: KafkaRule): () => void {
    this.#rules.add(rule)
    return () => void this.#rules.delete(rule)
  }

  async request(request: KafkaRequest): Promise<Passage> {
    for (const rule of this.#rules) {
      const passage = (await rule.request?.(request)) ?? 'pass'
      if (passage !== 'pass') return passage
    }
    return 'pass'
  }

  async response(request: KafkaRequest, response: Buffer): Promise<Passage> {
    for (const rule of this.#rules) {
      const passage = (await rule.response?.(request, response)) ?? 'pass'
      if (passage !== 'pass') return passage
    }
    return 'pass'
  }
}

export type KafkaProxyOptions = Readonly<{
  broker: number
  port: number
  brokerPort: number
  rules: KafkaRules
}>

export class KafkaProxy {
  readonly #options: KafkaProxyOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(options: KafkaProxyOptions) {
    this.#options = options
    this.#server = createServer({ noDelay: true }, (client) => this.#serve(client))
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port, '127.0.0.1', resolve)
    })
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #serve(client: Socket): void {
    const { brokerPort: port, broker, rules } = this.#options
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    const cut = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.on('error', cut) // The peer's end is the fault under test, not ours.
      socket.on('close', () => {
        this.#sockets.delete(socket)
        cut()
      })
    }
    const asked = new Map<number, KafkaRequest>()
    relay(client, upstream, async (frame) => {
      const request = requestOf(frame, broker)
      asked.set(request.correlationId, request)
      return rules.request(request)
    })
    relay(upstream, client, async (frame) => {
      const correlationId = frame.readInt32BE(4)
      const request = asked.get(correlationId)
      asked.delete(correlationId)
      return request === undefined ? 'pass' : rules.response(request, frame)
    })
  }
}

/** Frames in order; while one is judged, the ones behind it wait. */
function relay(from: Socket, to: Socket, judge: (frame: Buffer) => Promise<Passage>): void {
  let held: Buffer[] = []
  let heldBytes = 0
  let turn = Promise.resolve()
  const pass = async (frame: Buffer): Promise<void> => {
    const passage = await judge(frame)
    if (passage === 'cut') from.destroy()
    if (passage !== 'pass' || to.destroyed) return
    if (!to.write(frame)) {
      from.pause()
      to.once('drain', () => from.resume())
    }
  }
  from.on('data', (chunk) => {
    held.push(chunk)
    heldBytes += chunk.length
    const first = held[0] ?? chunk
    if (first.length >= 4 && heldBytes < 4 + first.readInt32BE(0)) return
    let bytes = Buffer.concat(held)
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
      const frame = bytes.subarray(0, 4 + bytes.readInt32BE(0))
      bytes = bytes.subarray(frame.length)
      turn = turn.then(() => pass(frame))
    }
    held = bytes.length === 0 ? [] : [bytes]
    heldBytes = bytes.length
  })
}

function requestOf(frame: Buffer, broker: number): KafkaRequest {
  const idBytes = Math.max(0, frame.readInt16BE(12))
  return {
    broker,
    apiKey: frame.readInt16BE(4),
    apiVersion: frame.readInt16BE(6),
    correlationId: frame.readInt32BE(8),
    clientId: frame.toString('utf8', 14, 14 + idBytes),
    body: frame.subarray(14 + idBytes),
  }
}

/** Topic of a produce request of versions 3 to 8; those of our clients hold one topic each. */
export function producedTopic({ body }: KafkaRequest): string {
  const afterId = 2 + Math.max(0, body.readInt16BE(0))
  const nameAt = afterId + 2 + 4 + 4
  return body.toString('utf8', nameAt + 2, nameAt + 2 + body.readInt16BE(nameAt))
}
