/**
 * Starts a stack for a test that kills it: `node stack.program.js STATE_DIR SERVERS_DIR`. Prints
 * notes, then the addresses as one line of JSON, and runs until it is told to end.
 */
import { startStack } from '../stack.ts'

const [stateDir = '', serversDir = ''] = process.argv.slice(2)
const wish = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.on(signal, () => wish.abort())
// When the test itself is killed, its end of the pipe closes.
process.stdin.resume().on('end', () => wish.abort())
const stack = await startStack({
  stateDir,
  serversDir,
  host: '127.0.0.1',
  postgresPassword: 'test',
  signal: wish.signal,
  onProgress: (step) => {
    if (step.kind === 'note') process.stdout.write(`note: ${step.what}\n`)
  },
})
const { stop, failure: _failure, ...addresses } = stack
process.stdout.write(`${JSON.stringify(addresses)}\n`)
await new Promise((resolve) => {
  wish.signal.addEventListener('abort', resolve)
  setInterval(() => {}, 60_000)
})
await stop()
process.exit(0)
