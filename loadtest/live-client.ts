/** A dashboard's connection to the live feed, as a stranger would write it. */
import type { ClientMessage, LiveItem, LiveStream, ServerMessage } from '../api/contract/live.ts'
import { Failure } from '../platform/failure.ts'
import { type TextSocket, openTextSocket } from './web-socket.ts'

export type LiveSubscription = Readonly<{
  stream: LiveStream
  devices: readonly string[]
  metrics: readonly string[]
  onItems: (items: readonly LiveItem[], kind: 'snapshot' | 'update') => void
}>

const ANSWER_MS = 15_000

/**
 * Resolves, once the snapshot has come, to what closes the connection. Rejects when the server
 * refuses or is silent.
 */
export async function openLive(
  api: Readonly<{ url: string; key: string }>,
  subscription: LiveSubscription,
): Promise<() => Promise<void>> {
  let onMessage: (text: string) => void = () => {}
  let onClosed: (reason: string) => void = () => {}
  const socket = await openTextSocket(new URL('/v1/live', api.url), {
    message: (text) => onMessage(text),
    closed: (reason) => onClosed(reason),
  })
  return new Promise((resolve, reject) => {
    const refuse = (why: string): void => {
      clearTimeout(silence)
      void socket.close()
      reject(new Failure('unavailable', `the live feed: ${why}`))
    }
    const silence = setTimeout(() => refuse('no answer'), ANSWER_MS)
    onClosed = refuse
    onMessage = (text) => {
      // The contract of the live feed.
      const message = JSON.parse(text) as ServerMessage
      switch (message.type) {
        case 'hello':
          return subscribe(socket, subscription)
        case 'snapshot':
          clearTimeout(silence)
          subscription.onItems(message.items, 'snapshot')
          return resolve(() => socket.close())
        case 'update':
          return subscription.onItems(message.items, 'update')
        case 'error':
          return refuse(`${message.code}: ${message.detail}`)
        case 'status': // What stands still shows itself as what does not arrive.
          return undefined
      }
    }
    send(socket, { type: 'hello', key: api.key })
  })
}

function subscribe(socket: TextSocket, { stream, devices, metrics }: LiveSubscription): void {
  const [wantedDevices, wantedMetrics] = [[...devices], [...metrics]]
  send(socket, {
    type: 'subscribe',
    id: '1',
    stream,
    devices: wantedDevices,
    metrics: wantedMetrics,
  })
}

function send(socket: TextSocket, message: ClientMessage): void {
  socket.send(JSON.stringify(message))
}
