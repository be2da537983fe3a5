/** A live feed for tests: a real WebSocket server that says what a test tells it to. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import type { ClientMessage, LiveItem, ServerMessage } from '../../api/contract/live.ts'
import type { Socket, SocketEvents } from '../live/live-feed.ts'

export type FeedServer = {
  port: number
  /** The next message of the kind that any client sends, in the order they came. */
  said<K extends ClientMessage['type']>(type: K): Promise<Extract<ClientMessage, { type: K }>>
  say(message: ServerMessage): void
  /** What every subscription gets as its snapshot from now on; undefined: silence. */
  snapshot: (() => LiveItem[]) | undefined
  /** Cuts every connection, without a goodbye. */
  cut(): void
  connections(): number
  stop(): Promise<void>
}

export async function startFeedServer(key: string, port = 0): Promise<FeedServer> {
  const sockets = new WebSocketServer({ host: '127.0.0.1', port })
  await once(sockets, 'listening')
  const heard: ClientMessage[] = []
  const waiting: { type: string; take: (message: ClientMessage) => void }[] = []
  const server: FeedServer = {
    // A listening TCP server has an address and port.
    port: (sockets.address() as AddressInfo).port,
    snapshot: () => [],
    said: (type) =>
      new Promise((resolve) => {
        // The type that was asked for is the type that is given: see `note`.
        const take = resolve as (message: ClientMessage) => void
        const at = heard.findIndex((message) => message.type === type)
        const [found] = at < 0 ? [] : heard.splice(at, 1)
        if (found === undefined) waiting.push({ type, take })
        else take(found)
      }),
    say: (message) => {
      for (const client of sockets.clients) client.send(JSON.stringify(message))
    },
    cut: () => {
      for (const client of sockets.clients) client.terminate()
    },
    connections: () => sockets.clients.size,
    stop: async () => {
      server.cut()
      const closed = once(sockets, 'close')
      sockets.close()
      await closed
    },
  }
  const note = (message: ClientMessage): void => {
    const at = waiting.findIndex(({ type }) => type === message.type)
    const [taker] = at < 0 ? [] : waiting.splice(at, 1)
    if (taker === undefined) heard.push(message)
    else taker.take(message)
  }
  sockets.on('connection', (client) => {
    client.on('message', (data: Buffer) => {
      // The client under test sends our contract.
      const message = JSON.parse(data.toString()) as ClientMessage
      answer(server, client, message, key)
      note(message)
    })
  })
  return server
}

function answer(server: FeedServer, client: WebSocket, message: ClientMessage, key: string): void {
  const say = (said: ServerMessage): void => client.send(JSON.stringify(said))
  if (message.type === 'hello') {
    if (message.key === key) return say({ type: 'hello' })
    say({ type: 'error', code: 'unauthenticated', detail: 'The API key is not valid.' })
    return client.close()
  }
  if (message.type !== 'subscribe' || server.snapshot === undefined) return
  say({ type: 'snapshot', id: message.id, cursor: '0', items: server.snapshot() })
}

/** What `connect` of a LiveFeed is in Node. */
export function connectTo(port: () => number): (events: SocketEvents) => Socket {
  return (events) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port()}`)
    socket.on('open', events.opened)
    socket.on('message', (data: Buffer) => events.heard(data.toString()))
    socket.on('error', () => undefined)
    socket.on('close', events.lost)
    return { send: (text) => socket.send(text), close: () => socket.close() }
  }
}
