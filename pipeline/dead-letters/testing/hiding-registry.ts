/** A proxy in front of the schema registry that hides one schema, or dies when asked for it. */
import { createServer } from 'node:http'
import { once } from 'node:events'

export type Mode = 'hidden' | 'down' | 'open'

export async function hidingRegistry(registryUrl: string, schemaId: () => number) {
  const state: { mode: Mode; questions: number } = { mode: 'hidden', questions: 0 }
  const origin = new URL(registryUrl).origin
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    if (path.endsWith(`/schemas/ids/${schemaId()}`) && state.mode !== 'open') {
      state.questions += 1
      if (state.mode === 'down') request.socket.destroy()
      else
        response.writeHead(404, { 'content-type': 'application/json' }).end('{"error_code":40403}')
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = 'GET', headers } = request
      const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}
      const type = headers['content-type'] ?? 'application/json'
      void fetch(origin + path, { method, headers: { 'content-type': type }, ...body }).then(
        async (answer) => {
          const kind = answer.headers.get('content-type') ?? 'application/json'
          response.writeHead(answer.status, { 'content-type': kind }).end(await answer.text())
        },
        () => request.socket.destroy(),
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const url = `http://127.0.0.1:${port}${new URL(registryUrl).pathname}`
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { url, state, close }
}
