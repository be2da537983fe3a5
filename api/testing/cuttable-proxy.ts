/** A TCP proxy in front of a server, which a test can cut and mend: an outage at will. */
import { connect, createServer, type Server, type Socket } from 'node:net'

export class CuttableProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #cut = false

  private constructor(server: Server) {
    this.#server = server
  }

  /** Listens on a free port of 127.0.0.1 and passes everything on to `target`. */
  static async open(target: URL): Promise<CuttableProxy> {
    const server = createServer()
    const proxy = new CuttableProxy(server)
    server.on('connection', (client) => proxy.#join(client, target))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  /** The address of the target as seen through the proxy. */
  addressOf(target: URL): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    const url = new URL(target.href)
    url.host = `127.0.0.1:${address.port}`
    return url.href
  }

  /** From now on every connection breaks at once. */
  cut(): void {
    this.#cut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#cut = false
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: Socket, target: URL): void {
    if (this.#cut) {
      client.destroy()
      return
    }
    const server = connect(Number(target.port), target.hostname)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  }
}
