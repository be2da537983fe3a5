/**
 * An HTTP proxy between the pipeline and ClickHouse: rules see every statement before, amid and
 * after its execution, and may answer in the server's place. A statement that is cut amid has
 * sent half of its body.
 */
import {
  type IncomingMessage,
  type Server,
  type ServerResponse,
  createServer,
  request,
} from 'node:http'

export type Statement = Readonly<{ text: string; rows: Buffer }>
export type StatementAnswer = Readonly<{ status: number; code: number; message: string }>
/** pass: as if nobody were here; cut: the client's connection ends without an answer. */
export type StatementPassage = 'pass' | 'cut' | StatementAnswer
type Judgement = StatementPassage | Promise<StatementPassage>
export type StatementRule = Readonly<{
  before?(statement: Statement): Judgement
  /** Half of the body is with the server. */
  amid?(statement: Statement): Judgement
  /** The server has done it (status 200) or refused it. */
  after?(statement: Statement, status: number): Judgement
}>

export class ClickhouseProxy {
  readonly #server: Server
  readonly #targetPort: number
  readonly #rules = new Set<StatementRule>()

  constructor(place: Readonly<{ port: number; targetPort: number }>) {
    this.#targetPort = place.targetPort
    this.#server = createServer((incoming, response) => {
      this.#serve(incoming, response).catch(() => response.destroy())
    })
    this.#server.listen(place.port, '127.0.0.1')
  }

  /** Gives what takes it away again. */
  add(rule: StatementRule): () => void {
    this.#rules.add(rule)
    return () => void this.#rules.delete(rule)
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const rows = Buffer.concat(chunks)
    const inUrl = new URL(incoming.url ?? '/', 'http://any').searchParams.get('query')
    const statement = { text: inUrl ?? rows.toString('utf8', 0, 4096), rows }
    if (this.#over(response, await this.#ask((rule) => rule.before?.(statement)))) return
    const headers = { ...incoming.headers, 'content-length': String(rows.length) }
    delete (headers as Record<string, unknown>)['transfer-encoding']
    const { method, url: path } = incoming
    const upstream = request({ host: '127.0.0.1', port: this.#targetPort, method, path, headers })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve)
      upstream.once('error', reject)
    })
    answered.catch(() => {}) // A statement that is cut amid is not awaited.
    upstream.write(rows.subarray(0, rows.length >> 1))
    if (this.#over(response, await this.#ask((rule) => rule.amid?.(statement)))) {
      upstream.destroy()
      return
    }
    upstream.end(rows.subarray(rows.length >> 1))
    const answer = await answered
    const body: Buffer[] = []
    for await (const chunk of answer) body.push(chunk as Buffer)
    const status = answer.statusCode ?? 500
    if (this.#over(response, await this.#ask((rule) => rule.after?.(statement, status)))) return
    const answerHeaders = {
      ...answer.headers,
      'content-length': String(Buffer.concat(body).length),
    }
    delete (answerHeaders as Record<string, unknown>)['transfer-encoding']
    response.writeHead(status, answerHeaders)
    response.end(Buffer.concat(body))
  }

  async #ask(judge: (rule: StatementRule) => Judgement | undefined): Promise<StatementPassage> {
    for (const rule of this.#rules) {
      const passage = (await judge(rule)) ?? 'pass'
      if (passage !== 'pass') return passage
    }
    return 'pass'
  }

  #over(response: ServerResponse, passage: StatementPassage): boolean {
    if (passage === 'pass') return false
    if (passage === 'cut') response.destroy()
    else {
      response.writeHead(passage.status, { 'x-clickhouse-exception-code': String(passage.code) })
      response.end(`Code: ${passage.code}. DB::Exception: ${passage.message}`)
    }
    return true
  }
}
