/**
 * A line to one broker on which bits can flip. Clients that bootstrap from it stay on it: where a
 * response names the broker's address, it names ours instead. Responses are passed on whole.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

const LENGTH_BYTES = 4

export type FlippingProxy = Readonly<{
  broker: string
  /** Flips a bit behind each occurrence of the mark, so many times. */
  flip(mark: string, times: number): void
  flipped(): number
  close(): Promise<void>
}>

export async function startFlippingProxy(broker: string): Promise<FlippingProxy> {
  const [host = '', port = ''] = broker.split(':')
  const sockets = new Set<Socket>()
  let marks = Buffer.alloc(0)
  let left = 0
  let flips = 0
  const server = createServer((client) => {
    const upstream = connect(Number(port), host)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined) // What follows is `close`.
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    eachFrame(upstream, (frame) => {
      replaceAddress(frame, Number(port), (server.address() as AddressInfo).port)
      for (let at = 0; left > 0 && marks.length > 0;) {
        at = frame.indexOf(marks, at)
        if (at < 0) break
        at += marks.length
        frame.writeUInt8(frame.readUInt8(at) ^ 0x10, at)
        left--
        flips++
      }
      client.write(frame)
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  return {
    broker: `${host}:${(server.address() as AddressInfo).port}`,
    flip: (mark, times) => {
      marks = Buffer.from(mark)
      left = times
    },
    flipped: () => flips,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function eachFrame(socket: Socket, visit: (frame: Buffer) => void): void {
  let waiting = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk])
    while (waiting.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + waiting.readInt32BE(0)
      if (waiting.length < end) return
      visit(waiting.subarray(0, end))
      waiting = waiting.subarray(end)
    }
  })
}

/** `host` as a string of the protocol, and the port that follows it. */
function replaceAddress(frame: Buffer, from: number, to: number): void {
  const address = Buffer.from('..127.0.0.1....')
  address.writeInt16BE(9, 0)
  address.writeInt32BE(from, 11)
  for (let at = frame.indexOf(address); at >= 0; at = frame.indexOf(address, at)) {
    frame.writeInt32BE(to, at + 11)
  }
}
