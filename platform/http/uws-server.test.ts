/** The HTTP layer on real sockets: ports, bodies cut anywhere, aborts, draining. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { Failure } from '../failure.ts'
import type { ServerSocket } from './http-exchange.ts'
import { HttpServer, type HttpServerOptions } from './uws-server.ts'

const echo: HttpServerOptions = {
  name: 'test',
  host: '127.0.0.1',
  port: 0,
  portOption: 'apiPort',
  bodyBytesMax: 1_000,
  handle: async ({ method, path, query, body }) => {
    const size = body === 'too_large' ? body : body.length
    const text = JSON.stringify({ method, path, query, size })
    return { status: body === 'too_large' ? 413 : 200, headers: {}, body: text }
  },
  onDefect: (error) => ({ status: 500, headers: {}, body: String(error) }),
  sockets: [],
}

async function withServer(
  options: Partial<HttpServerOptions>,
  use: (server: HttpServer, url: string) => Promise<void>,
): Promise<void> {
  const server = new HttpServer({ ...echo, ...options })
  await server.start()
  try {
    await use(server, `http://127.0.0.1:${server.port}`)
  } finally {
    await server.drain(100)
  }
}

async function rawSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

function whole(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (bytes) => (text += bytes.toString()))
    socket.once('close', () => resolve(text))
  })
}

describe('listening', () => {
  it('names the option when the port is taken, by us or by another program', async () => {
    await withServer({}, async ({ port }) => {
      const second = new HttpServer({ ...echo, port })
      await assert.rejects(second.start(), (error) => {
        assert.ok(error instanceof Failure)
        assert.equal(error.code, 'port_taken')
        assert.match(error.message, /--api-port/)
        return true
      })
      await second.drain(10)
    })
  })

  it('gives the port back when it is drained', async () => {
    let port = 0
    await withServer({}, async (server) => {
      port = server.port
    })
    await withServer({ port }, async (_, url) => {
      assert.equal((await fetch(url)).status, 200)
    })
  })
})

describe('requests', () => {
  it('arrive with path and query as sent, and the whole body', async () => {
    await withServer({}, async (_, url) => {
      const answer = await fetch(`${url}/a%20b?x=%41`, { method: 'POST', body: 'y'.repeat(1_000) })
      assert.deepEqual(await answer.json(), {
        method: 'POST',
        path: '/a%20b',
        query: 'x=%41',
        size: 1_000,
      })
    })
  })

  it('are whole however their bytes are cut', async () => {
    await withServer({}, async ({ port }) => {
      const text =
        'POST /cut HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\nconnection: close\r\n\r\nabcdef'
      for (let cut = 1; cut < text.length; cut += 7) {
        const socket = await rawSocket(port)
        const answer = new Promise<string>((resolve) => {
          let heard = ''
          socket.on('data', (bytes) => {
            heard += bytes.toString()
            if (heard.endsWith('}')) resolve(heard)
          })
        })
        socket.write(text.slice(0, cut))
        await new Promise((resolve) => setImmediate(resolve))
        socket.write(text.slice(cut))
        assert.match(await answer, /"size":6/)
        socket.destroy()
      }
    })
  })

  it('over the body limit are answered, and the connection ends', async () => {
    await withServer({}, async ({ port }) => {
      const socket = await rawSocket(port)
      const heard = whole(socket)
      socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n')
      socket.write('z'.repeat(5_000))
      assert.match(await heard, /^HTTP\/1\.1 413 [^]*connection: close/i)
    })
  })

  it('whose client went away are answered into nothing', async () => {
    let release: () => void = () => {}
    const arrived = new Promise<void>((resolve) => (release = resolve))
    let answer: () => void = () => {}
    const held = new Promise<void>((resolve) => (answer = resolve))
    const handle: HttpServerOptions['handle'] = async ({ path }) => {
      if (path === '/held') {
        release()
        await held
      }
      return { status: 200, headers: {}, body: 'done' }
    }
    await withServer({ handle }, async ({ port }, url) => {
      const socket = await rawSocket(port)
      socket.write('GET /held HTTP/1.1\r\nhost: x\r\n\r\n')
      await arrived
      socket.destroy()
      await fetch(url)
      answer()
      assert.equal(await (await fetch(url)).text(), 'done')
    })
  })

  it('that fail by a defect are answered, and the server goes on', async () => {
    const handle = async () => {
      throw new Error('defect')
    }
    await withServer({ handle }, async (_, url) => {
      for (let i = 0; i < 2; i++) assert.equal((await fetch(url)).status, 500)
    })
  })

  it('that are not HTTP close their connection only', async () => {
    await withServer({}, async ({ port }, url) => {
      for (const bytes of [
        '\0\x01\x02\r\n\r\n',
        'GET\r\n\r\n',
        `GET / HTTP/1.1\r\n${'a'.repeat(70_000)}`,
      ]) {
        const socket = await rawSocket(port)
        const heard = whole(socket)
        socket.write(bytes)
        await heard
      }
      assert.equal((await fetch(url)).status, 200)
    })
  })
})

describe('draining', () => {
  it('finishes what is being answered, refuses new connections, and may be called twice', async () => {
    let release: () => void = () => {}
    const arrived = new Promise<void>((resolve) => (release = resolve))
    let answer: () => void = () => {}
    const held = new Promise<void>((resolve) => (answer = resolve))
    const handle = async () => {
      release()
      await held
      return { status: 200, headers: {}, body: 'done' }
    }
    const server = new HttpServer({ ...echo, handle })
    await server.start()
    const url = `http://127.0.0.1:${server.port}`
    const slow = fetch(url)
    await arrived
    const drained = Promise.all([server.drain(5_000), server.drain(5_000)])
    await assert.rejects(fetch(url))
    answer()
    const response = await slow
    assert.equal(response.headers.get('connection'), 'close')
    assert.equal(await response.text(), 'done')
    await drained
  })

  it('gives up on a request that never ends', async () => {
    let arrive: () => void = () => {}
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const handle = () => {
      arrive()
      return new Promise<never>(() => {})
    }
    const server = new HttpServer({ ...echo, handle })
    await server.start()
    const cut = fetch(`http://127.0.0.1:${server.port}`)
    cut.catch(() => {})
    await arrived
    await server.drain(50)
    await assert.rejects(cut)
  })
})

describe('sockets', () => {
  it('carry text both ways, and close with the code they are given', async () => {
    const sockets: ServerSocket[] = []
    const route = {
      path: '/socket',
      messageBytesMax: 100,
      idleTimeoutSeconds: 8,
      refuse: () => undefined,
      opened: (socket: ServerSocket) => {
        sockets.push(socket)
        return {
          message: (text: string | undefined) => socket.send(`heard ${text ?? 'bytes'}`),
          drained: () => {},
          closed: () => sockets.splice(sockets.indexOf(socket), 1),
        }
      },
    }
    const onDrain = () => {
      for (const socket of [...sockets]) socket.close(1001, 'bye')
    }
    const server = new HttpServer({ ...echo, sockets: [route], onDrain })
    await server.start()
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/socket`)
    await new Promise((resolve) => client.once('open', resolve))
    const next = () =>
      new Promise((resolve) =>
        client.once('message', (data) => resolve((data as Buffer).toString())),
      )
    client.send('hé')
    assert.equal(await next(), 'heard hé')
    client.send(Buffer.from([1]))
    assert.equal(await next(), 'heard bytes')
    const closed = new Promise((resolve) => client.once('close', (code) => resolve(code)))
    await server.drain(100)
    assert.equal(await closed, 1001)
    assert.equal(sockets.length, 0)
  })
})
