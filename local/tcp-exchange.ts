/**
 * One question and one answer over TCP: how a server that has a port open is asked whether it
 * serves as well. Readiness is asked in the server's own protocol, in a few raw bytes, because the
 * drivers belong to platform/ and retry on their own terms.
 */
import { connect } from 'node:net'

/** Gives the first bytes of the answer, or undefined when there was none in time. */
export function exchange(
  at: Readonly<{ host: string; port: number }>,
  question: Uint8Array,
  timeoutMs = 1000,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: at.host, port: at.port })
    const end = (answer: Buffer | undefined): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => end(undefined))
    socket.on('connect', () => socket.write(question))
    socket.on('data', (data) => end(data))
    socket.on('error', () => end(undefined))
    socket.on('close', () => resolve(undefined))
  })
}
