/** An outside client of the live feed: npm `ws`, and a queue of what it heard. */
import { WebSocket } from 'ws'
import type { LiveItem, ServerMessage } from '../contract/live.ts'

const PATIENCE_MS = 15_000

export class LiveClient {
  readonly socket: WebSocket
  readonly heard: ServerMessage[] = []
  /** The close code and reason, once closed. */
  readonly closed: Promise<readonly [code: number, reason: string]>
  #read = 0
  #wake: () => void = () => {}

  private constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#wake()
        resolve([code, reason.toString()])
      })
    })
    socket.on('message', (data) => {
      // ws gives text as a Buffer by default; the server is ours, and its contract what is tested.
      this.heard.push(JSON.parse((data as Buffer).toString()) as ServerMessage)
      this.#wake()
    })
  }

  static async connect(port: number, headers: Record<string, string> = {}): Promise<LiveClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/live`, { headers })
    const client = new LiveClient(socket)
    await new Promise((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    return client
  }

  /** Connected, and hello answered. */
  static async open(port: number, key: string): Promise<LiveClient> {
    const client = await LiveClient.connect(port)
    client.send({ type: 'hello', key })
    await client.next('hello')
    return client
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  subscribe(id: string, stream: string, more: object = {}): void {
    this.send({ type: 'subscribe', id, stream, devices: ['*'], metrics: ['*'], ...more })
  }

  /** The next message of this type that was not read yet; others before it are skipped. */
  async next<T extends ServerMessage['type']>(
    type: T,
  ): Promise<Extract<ServerMessage, { type: T }>> {
    const deadline = AbortSignal.timeout(PATIENCE_MS)
    for (;;) {
      while (this.#read < this.heard.length) {
        const message = this.heard[this.#read++]
        if (message?.type === type) return message as Extract<ServerMessage, { type: T }>
      }
      if (deadline.aborted || this.socket.readyState === WebSocket.CLOSED) {
        throw new Error(`no ${type} came; heard ${JSON.stringify(this.heard).slice(0, 2_000)}`)
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        deadline.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  /** Updates until one of their items fits; gives all items up to then. */
  async updatesUntil(fits: (item: LiveItem) => boolean): Promise<readonly LiveItem[]> {
    const items: LiveItem[] = []
    while (!items.some(fits)) items.push(...(await this.next('update')).items)
    return items
  }

  async close(): Promise<void> {
    this.socket.close()
    await this.closed
  }
}
