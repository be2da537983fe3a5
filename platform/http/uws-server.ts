/**
 * HTTP and WebSockets on uWebSockets.js: the only file that knows it. What it hides: requests live
 * on the native stack and must be copied at once; an answer after an abort crashes the process;
 * a port is shared silently unless asked for exclusively; a closed socket must not be touched.
 */
import { createRequire } from 'node:module'
import type {
  HttpRequest as NativeRequest,
  HttpResponse as NativeResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket as NativeSocket,
} from 'uWebSockets.js'
import { spelledOut } from '../config/option-names.ts'
import { Failure } from '../failure.ts'
import type { Service } from '../lifecycle/service.ts'
import type {
  HttpRequest,
  HttpResponse,
  ServerSocket,
  SocketHandler,
  SocketRoute,
} from './http-exchange.ts'

export type HttpServerOptions = Readonly<{
  name: string
  host: string
  port: number
  /** The option that chose the port, such as `apiPort`, for the sentence that says it is taken. */
  portOption: string
  bodyBytesMax: number
  /** Answers every request. A rejection is a defect and becomes `onDefect`'s answer. */
  handle(request: HttpRequest): Promise<HttpResponse>
  onDefect(error: unknown): HttpResponse
  sockets: readonly SocketRoute[]
  /** Called once when draining begins, to say goodbye to open sockets. */
  onDrain?(): void
}>

type SocketState = { request: HttpRequest; entry: OpenSocket | undefined }
type Native = Readonly<{
  App(): TemplatedApp
  us_listen_socket_close(socket: us_listen_socket): void
  us_socket_local_port(socket: unknown): number
}>

const EXCLUSIVE_PORT = 1 // LIBUS_LISTEN_EXCLUSIVE_PORT
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

export class HttpServer implements Service {
  readonly name: string
  readonly failure: Promise<never> = new Promise(() => {})
  readonly #options: HttpServerOptions
  #native: Native | undefined
  #app: TemplatedApp | undefined
  #listener: us_listen_socket | undefined
  #port = 0
  #inFlight = 0
  #drained: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  constructor(options: HttpServerOptions) {
    this.name = options.name
    this.#options = options
  }

  /** The port in use, which the system chose where 0 was asked for. */
  get port(): number {
    return this.#port
  }

  async start(): Promise<void> {
    const native = loadNative()
    const app = native.App()
    for (const route of this.#options.sockets) this.#addSocketRoute(app, route)
    app.any('/*', (response, request) => this.#accept(response, request))
    this.#native = native
    this.#app = app
    this.#listener = await this.#listen(app)
    this.#port = native.us_socket_local_port(this.#listener)
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  async #drain(deadlineMs: number): Promise<void> {
    if (this.#listener !== undefined) this.#native?.us_listen_socket_close(this.#listener)
    this.#listener = undefined
    this.#options.onDrain?.()
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadlineMs)
        this.#onIdle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#app?.close()
    this.#app = undefined
  }

  #listen(app: TemplatedApp): Promise<us_listen_socket> {
    const { host, port, portOption } = this.#options
    return new Promise((resolve, reject) => {
      const done = (token: us_listen_socket | false): void => {
        if (token !== false) return resolve(token)
        const change = `choose another with ${spelledOut(portOption)}`
        const text = `Port ${port} on ${host} is taken or cannot be listened on: ${change}.`
        reject(new Failure('port_taken', text))
      }
      // The declared types lack this form; the native code takes host, port, options, callback.
      const listen = app.listen.bind(app) as unknown as ListenExclusively
      listen(host, port, EXCLUSIVE_PORT, done)
    })
  }

  #accept(response: NativeResponse, request: NativeRequest): void {
    const answer = new Answer(response, () => this.#finished())
    this.#inFlight += 1
    const head = copyHead(request, response)
    readBody(response, this.#options.bodyBytesMax, (body) => {
      void this.#answer(answer, { ...head, body })
    })
  }

  async #answer(answer: Answer, request: HttpRequest): Promise<void> {
    let response: HttpResponse
    try {
      response = await this.#options.handle(request)
    } catch (error) {
      response = this.#options.onDefect(error)
    }
    // After an overlong body the rest of the stream is noise: the connection ends with the answer.
    const close = request.body === 'too_large' || this.#drained !== undefined
    answer.send(response, { close, withBody: request.method !== 'HEAD' })
  }

  #finished(): void {
    this.#inFlight -= 1
    if (this.#inFlight === 0) this.#onIdle?.()
  }

  #addSocketRoute(app: TemplatedApp, route: SocketRoute): void {
    app.ws<SocketState>(route.path, {
      maxPayloadLength: route.messageBytesMax,
      idleTimeout: route.idleTimeoutSeconds,
      // Backpressure is the owner's: it watches bufferedBytes. Native code must never drop.
      maxBackpressure: 0,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => {
        upgrade(route, { response, request, context })
      },
      open: (socket) => {
        const state = socket.getUserData()
        const entry = new OpenSocket(socket, state.request.remoteAddress)
        state.entry = entry
        entry.handler = route.opened(entry)
      },
      message: (socket, message, isBinary) => {
        const text = isBinary ? undefined : Buffer.from(message).toString('utf8')
        socket.getUserData().entry?.handler?.message(text)
      },
      drain: (socket) => socket.getUserData().entry?.handler?.drained(),
      close: (socket) => socket.getUserData().entry?.gone(),
    })
  }
}

type ListenExclusively = (
  host: string,
  port: number,
  options: number,
  done: (token: us_listen_socket | false) => void,
) => void

/** Answers once, and never after the peer went away. */
class Answer {
  readonly #response: NativeResponse
  readonly #onDone: () => void
  #open = true

  constructor(response: NativeResponse, onDone: () => void) {
    this.#response = response
    this.#onDone = onDone
    response.onAborted(() => this.#done())
  }

  send(response: HttpResponse, how: Readonly<{ close: boolean; withBody: boolean }>): void {
    if (!this.#open) return
    this.#response.cork(() => writeResponse(this.#response, response, how))
    this.#done()
  }

  #done(): void {
    if (!this.#open) return
    this.#open = false
    this.#onDone()
  }
}

function writeResponse(
  native: NativeResponse,
  response: HttpResponse,
  how: Readonly<{ close: boolean; withBody: boolean }>,
): void {
  native.writeStatus(`${response.status} ${REASONS[response.status] ?? 'Status'}`)
  for (const [name, value] of Object.entries(response.headers)) native.writeHeader(name, value)
  const bodyless = response.status === 204 || response.status === 304
  if (bodyless) native.endWithoutBody(undefined, how.close)
  else if (how.withBody) native.end(response.body, how.close)
  else native.endWithoutBody(Buffer.byteLength(response.body), how.close)
}

function copyHead(request: NativeRequest, response: NativeResponse): Omit<HttpRequest, 'body'> {
  const headers = new Map<string, string>()
  request.forEach((name, value) => headers.set(name, value))
  // The declared type is wrong: without a question mark there is no query at all.
  const query: string | undefined = request.getQuery()
  return {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: query ?? '',
    headers,
    remoteAddress: Buffer.from(response.getRemoteAddressAsText()).toString('latin1'),
  }
}

/** Calls `done` exactly once unless the peer goes away first. Keeps at most `bytesMax`. */
function readBody(
  response: NativeResponse,
  bytesMax: number,
  done: (body: Buffer | 'too_large') => void,
): void {
  const chunks: Buffer[] = []
  let bytes = 0
  let over = false
  response.onData((chunk, isLast) => {
    if (over) return
    bytes += chunk.byteLength
    if (bytes > bytesMax) {
      over = true
      return done('too_large')
    }
    // The chunk's memory is taken back when this callback returns.
    chunks.push(Buffer.from(new Uint8Array(chunk)))
    if (isLast) done(Buffer.concat(chunks, bytes))
  })
}

type UpgradeAttempt = Readonly<{
  response: NativeResponse
  request: NativeRequest
  context: us_socket_context_t
}>

function upgrade(route: SocketRoute, { response, request, context }: UpgradeAttempt): void {
  const head: HttpRequest = { ...copyHead(request, response), body: Buffer.alloc(0) }
  const refusal = route.refuse(head)
  if (refusal !== undefined) {
    response.cork(() => writeResponse(response, refusal, { close: true, withBody: true }))
    return
  }
  response.upgrade<SocketState>(
    { request: head, entry: undefined },
    request.getHeader('sec-websocket-key'),
    request.getHeader('sec-websocket-protocol'),
    request.getHeader('sec-websocket-extensions'),
    context,
  )
}

class OpenSocket implements ServerSocket {
  readonly remoteAddress: string
  handler: SocketHandler | undefined
  #socket: NativeSocket<SocketState> | undefined

  constructor(socket: NativeSocket<SocketState>, remoteAddress: string) {
    this.#socket = socket
    this.remoteAddress = remoteAddress
  }

  get bufferedBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0
  }

  send(text: string): void {
    this.#socket?.send(text)
  }

  close(code: number, reason: string): void {
    this.#socket?.end(code, reason)
  }

  gone(): void {
    this.#socket = undefined
    this.handler?.closed()
  }
}

function loadNative(): Native {
  try {
    return createRequire(import.meta.url)('uWebSockets.js') as Native // An untyped native module.
  } catch (error) {
    const text =
      'The HTTP server (uWebSockets.js) cannot be loaded here. It needs Node 20, 22 or 24 on ' +
      'Linux with glibc (2.27 or newer for Node 20, 2.38 or newer for Node 22 and 24), macOS or ' +
      `Windows; this is Node ${process.versions.node} on ${process.platform} ${process.arch}.`
    throw new Failure('prerequisite_missing', text, { cause: error })
  }
}
