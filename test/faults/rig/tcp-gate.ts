/** A TCP proxy that can be shut: connections are cut and new ones ended, until it is opened again. */
import { type Server, type Socket, connect, createServer } from 'node:net'

export class TcpGate {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #shut = false

  constructor(place: Readonly<{ port: number; targetPort: number }>) {
    this.#server = createServer({ noDelay: true }, (client) =>
      this.#shut ? client.destroy() : this.#pipe(client, place.targetPort),
    )
    this.#server.listen(place.port, '127.0.0.1')
  }

  shut(): void {
    this.#shut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  open(): void {
    this.#shut = false
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.shut()
    await closed
  }

  #pipe(client: Socket, port: number): void {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.pipe(other)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
  }
}
