/**
 * A small WebSocket client (RFC 6455) on node:http: text messages both ways, ping answered, no
 * extensions. Node 20 has none of its own, and a library would have to be shipped for one bench.
 */
import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Duplex } from 'node:stream'
import { Failure } from '../platform/failure.ts'

export type TextSocket = Readonly<{
  send(text: string): void
  /** Closes in order; resolves when the connection is gone. */
  close(): Promise<void>
}>
export type TextSocketEvents = Readonly<{
  message: (text: string) => void
  /** Once, whoever ended it. */
  closed: (reason: string) => void
}>

const OPCODE = { continuation: 0, text: 1, close: 8, ping: 9, pong: 10 } as const
/** RFC 6455 §1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const CLOSE_NORMAL = Buffer.from([0x03, 0xe8])
const CLOSE_WAIT_MS = 1000

/** Rejects with `unavailable` when the server does not speak WebSocket at this address. */
export function openTextSocket(url: URL, events: TextSocketEvents): Promise<TextSocket> {
  const key = randomBytes(16).toString('base64')
  return new Promise((resolve, reject) => {
    const refuse = (why: string): void =>
      reject(new Failure('unavailable', `no WebSocket at ${url.origin}${url.pathname}: ${why}`))
    const upgrade = request(url, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': key,
      },
    })
    upgrade.on('error', (error) => refuse(error.message))
    upgrade.on('response', (response) => {
      response.destroy()
      refuse(`status ${response.statusCode}`)
    })
    upgrade.on('upgrade', (response, socket, head) => {
      const accept = createHash('sha1')
        .update(key + ACCEPT_GUID)
        .digest('base64')
      if (response.headers['sec-websocket-accept'] !== accept) {
        socket.destroy()
        return refuse('its answer to our key is wrong')
      }
      resolve(textSocket(socket, head, events))
    })
    upgrade.end()
  })
}

function textSocket(socket: Duplex, head: Buffer, events: TextSocketEvents): TextSocket {
  const reader = new FrameReader()
  let message: Buffer[] = []
  let reason = 'the connection was lost'
  const onData = (bytes: Buffer): void => {
    for (const { opcode, final, payload } of reader.push(bytes)) {
      switch (opcode) {
        case OPCODE.text:
        case OPCODE.continuation:
          message.push(payload)
          if (!final) break
          events.message(Buffer.concat(message).toString())
          message = []
          break
        case OPCODE.ping:
          socket.write(frame(OPCODE.pong, payload))
          break
        case OPCODE.close:
          reason = closeReason(payload)
          socket.end(frame(OPCODE.close, payload.subarray(0, 2)))
          break
        default:
          break
      }
    }
  }
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  void closed.then(() => events.closed(reason))
  socket.on('error', (error) => (reason = error.message))
  socket.on('data', onData)
  if (head.length > 0) onData(head)
  return {
    send: (text) => socket.write(frame(OPCODE.text, Buffer.from(text))),
    close() {
      if (!socket.destroyed) socket.write(frame(OPCODE.close, CLOSE_NORMAL))
      const impatience = setTimeout(() => socket.destroy(), CLOSE_WAIT_MS)
      return closed.finally(() => clearTimeout(impatience))
    },
  }
}

function closeReason(payload: Buffer): string {
  if (payload.length < 2) return 'closed without a code'
  return `closed with ${payload.readUInt16BE(0)} ${payload.subarray(2).toString()}`.trim()
}

/** A client's frame is masked (§5.3). */
function frame(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4)
  const masked = Buffer.from(payload)
  for (let i = 0; i < masked.length; i++) masked[i] = (masked[i] ?? 0) ^ (mask[i & 3] ?? 0)
  return Buffer.concat([lengthHead(0x80 | opcode, payload.length), mask, masked])
}

function lengthHead(first: number, length: number): Buffer {
  if (length < 126) return Buffer.from([first, 0x80 | length])
  const head = Buffer.alloc(length < 65_536 ? 4 : 10)
  head[0] = first
  head[1] = 0x80 | (length < 65_536 ? 126 : 127)
  if (length < 65_536) head.writeUInt16BE(length, 2)
  else head.writeBigUInt64BE(BigInt(length), 2)
  return head
}

type Frame = Readonly<{ opcode: number; final: boolean; payload: Buffer }>

/** Cuts a stream of bytes into frames, wherever the network cut it before. */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): Frame[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const frames: Frame[] = []
    for (let next = this.#take(); next !== undefined; next = this.#take()) frames.push(next)
    return frames
  }

  #take(): Frame | undefined {
    const bytes = this.#bytes
    if (bytes.length < 2) return undefined
    const short = (bytes[1] ?? 0) & 0x7f
    const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10
    if (bytes.length < headBytes) return undefined
    const length = this.#length(short)
    if (bytes.length < headBytes + length) return undefined
    this.#bytes = bytes.subarray(headBytes + length)
    const first = bytes[0] ?? 0
    return {
      opcode: first & 0x0f,
      final: (first & 0x80) !== 0,
      payload: bytes.subarray(headBytes, headBytes + length),
    }
  }

  #length(short: number): number {
    if (short < 126) return short
    if (short === 126) return this.#bytes.readUInt16BE(2)
    return Number(this.#bytes.readBigUInt64BE(2))
  }
}
