/** A dashboard's connection to the live feed, as a stranger would write it. */
import { WebSocket } from 'ws'
import type { ClientMessage, LiveItem, LiveStream, ServerMessage } from '../api/contract/live.ts'

export type LiveSubscription = Readonly<{
  stream: LiveStream
  devices: readonly string[]
  metrics: readonly string[]
  onItems: (items: readonly LiveItem[], kind: 'snapshot' | 'update') => void
}>

const ANSWER_MS = 15_000

export class LiveClient {
  readonly #socket: WebSocket

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** Resolves once the snapshot has come; rejects when the server refuses or is silent. */
  static open(
    api: Readonly<{ url: string; key: string }>,
    subscription: LiveSubscription,
  ): Promise<LiveClient> {
    const socket = new WebSocket(new URL('/v1/live', api.url.replace(/^http/, 'ws')))
    const client = new LiveClient(socket)
    return new Promise((resolve, reject) => {
      const silence = setTimeout(() => {
        socket.terminate()
        reject(new Error('the live feed did not answer'))
      }, ANSWER_MS)
      socket.on('error', reject)
      socket.on('close', (code, reason) =>
        reject(new Error(`closed with ${code} ${reason.toString()}`)),
      )
      socket.on('open', () => client.#send({ type: 'hello', key: api.key }))
      socket.on('message', (data: Buffer) => {
        // The contract of the live feed.
        const message = JSON.parse(data.toString()) as ServerMessage
        switch (message.type) {
          case 'hello': {
            const { stream, devices, metrics } = subscription
            client.#send({
              type: 'subscribe',
              id: '1',
              stream,
              devices: [...devices],
              metrics: [...metrics],
            })
            return
          }
          case 'snapshot':
            clearTimeout(silence)
            subscription.onItems(message.items, 'snapshot')
            return resolve(client)
          case 'update':
            return subscription.onItems(message.items, 'update')
          case 'error':
            return reject(new Error(`${message.code}: ${message.detail}`))
        }
      })
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.readyState === WebSocket.CLOSED) return resolve()
      this.#socket.once('close', () => resolve())
      this.#socket.close()
    })
  }

  #send(message: ClientMessage): void {
    this.#socket.send(JSON.stringify(message))
  }
}
