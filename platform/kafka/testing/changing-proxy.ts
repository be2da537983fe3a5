/**
 * A line to one broker on which answers change. Clients that bootstrap from it stay on it: where a
 * response names the broker's address, it names ours instead. Responses are passed on whole.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { BATCH_HEADER_BYTES, readBatch } from '../record-batch-reader.ts'

const LENGTH_BYTES = 4

/** Writes to the frame of a response in which the mark ends at `at`; false if it does not apply. */
export type Change = (frame: Buffer, at: number) => boolean
export type ChangingProxy = Readonly<{
  broker: string
  /** Changes the responses that hold the mark, at each occurrence of it, so many times. */
  change(mark: string, times: number, change: Change): void
  /** How often that was done, all marks together. */
  changed(): number
  close(): Promise<void>
}>

export async function startChangingProxy(broker: string): Promise<ChangingProxy> {
  const [host = '', port = ''] = broker.split(':')
  const sockets = new Set<Socket>()
  let marks = Buffer.alloc(0)
  let apply: Change = () => false
  let left = 0
  let changes = 0
  const server = createServer((client) => {
    const upstream = connect(Number(port), host)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined) // What follows is `close`.
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    eachFrame(upstream, (frame) => {
      replaceAddress(frame, Number(port), (server.address() as AddressInfo).port)
      for (let at = 0; left > 0 && marks.length > 0;) {
        at = frame.indexOf(marks, at)
        if (at < 0) break
        at += marks.length
        if (!apply(frame, at)) continue
        left--
        changes++
      }
      client.write(frame)
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  return {
    broker: `${host}:${(server.address() as AddressInfo).port}`,
    change: (mark, times, change) => {
      marks = Buffer.from(mark)
      left = times
      apply = change
    },
    changed: () => changes,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

export const flipBit: Change = (frame, at) => {
  frame.writeUInt8(frame.readUInt8(at) ^ 0x10, at)
  return true
}

/** Moves the batch that the mark lies in to another base offset. No checksum covers it. */
export const moveBatch =
  (by: number): Change =>
  (frame, at) => {
    const start = batchAround(frame, at)
    if (start === undefined) return false
    frame.writeBigInt64BE(frame.readBigInt64BE(start) + BigInt(by), start)
    return true
  }

/**
 * Fields of a partition in a Fetch response of version 11, counted back from its first batch:
 *
 *   error i16 | high watermark i64 | last stable offset i64 | log start i64 | aborted [] (none)
 *   | preferred replica i32 (none) | length of the batches i32 | batches
 */
const BEFORE = { error: 38, watermark: 36, aborted: 12, replica: 8 }

/** Where the mark lies in the first batch of a partition, its response says that the log ends there. */
export const watermarkBeforeBatch: Change = (frame, at) => {
  const start = batchAround(frame, at)
  if (start === undefined || !isFirst(frame, start)) return false
  frame.writeBigInt64BE(frame.readBigInt64BE(start), start - BEFORE.watermark)
  return true
}

/** Where the mark lies in the first batch, its partition answers with this error instead. */
export const failPartition =
  (code: number): Change =>
  (frame, at) => {
    const start = batchAround(frame, at)
    if (start === undefined || !isFirst(frame, start)) return false
    frame.writeInt16BE(code, start - BEFORE.error)
    return true
  }

function isFirst(frame: Buffer, start: number): boolean {
  const none = [BEFORE.aborted, BEFORE.replica].map((before) => frame.readInt32BE(start - before))
  return none.every((value) => value <= 0) && frame.readInt16BE(start - BEFORE.error) === 0
}

/** Where the whole batch begins that the mark lies in; undefined where it is cut. */
function batchAround(frame: Buffer, at: number): number | undefined {
  for (let start = at - BATCH_HEADER_BYTES; start > 0; start--) {
    const end = start + 12 + frame.readInt32BE(start + 8)
    if (frame[start + 16] !== 2 || end < at || end > frame.length) continue
    try {
      readBatch(frame.subarray(start, end))
      return start
    } catch {
      continue // Bytes that look like the start of one.
    }
  }
  return undefined
}

function eachFrame(socket: Socket, visit: (frame: Buffer) => void): void {
  let waiting = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk])
    while (waiting.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + waiting.readInt32BE(0)
      if (waiting.length < end) return
      visit(waiting.subarray(0, end))
      waiting = waiting.subarray(end)
    }
  })
}

/** `host` as a string of the protocol, and the port that follows it. */
function replaceAddress(frame: Buffer, from: number, to: number): void {
  const address = Buffer.from('..127.0.0.1....')
  address.writeInt16BE(9, 0)
  address.writeInt32BE(from, 11)
  for (let at = frame.indexOf(address); at >= 0; at = frame.indexOf(address, at)) {
    frame.writeInt32BE(to, at + 11)
  }
}
