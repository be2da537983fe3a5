/** What passes between the HTTP server and its owner: requests, answers, and open WebSockets. */

/** A request with its whole body. Header names are lower case. */
export type HttpRequest = Readonly<{
  method: string
  /** As sent, still percent-encoded, without the query. */
  path: string
  query: string
  headers: ReadonlyMap<string, string>
  remoteAddress: string
  /** `too_large`: it went over the limit; what came after was thrown away. */
  body: Buffer | 'too_large'
}>

export type HttpResponse = Readonly<{
  status: number
  headers: Readonly<Record<string, string>>
  body: string | Buffer
}>

/** One open WebSocket. After `closed` was called every method does nothing. */
export interface ServerSocket {
  readonly remoteAddress: string
  /** Bytes the peer has not taken yet. */
  readonly bufferedBytes: number
  send(text: string): void
  /** Sends what is queued, then a close frame. */
  close(code: number, reason: string): void
}

/** What the owner of a socket does. None of these may throw for an expected reason. */
export type SocketHandler = Readonly<{
  /** `undefined` stands for a binary message. */
  message(text: string | undefined): void
  /** The peer has taken bytes again: `bufferedBytes` is lower now. */
  drained(): void
  closed(): void
}>

export type SocketRoute = Readonly<{
  path: string
  /** Larger messages close the socket without a word, before they are buffered. */
  messageBytesMax: number
  idleTimeoutSeconds: number
  /** undefined: upgrade; otherwise the answer that refuses it. */
  refuse(request: HttpRequest): HttpResponse | undefined
  opened(socket: ServerSocket): SocketHandler
}>
