/** Frames come out whole and in order, whatever pieces the stream comes in. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { connectFramed, FrameReader } from './frame-socket.ts'

function framed(payload: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(payload.length)
  return Buffer.concat([length, payload])
}

/** Writes the stream to the reader in pieces of at most these sizes, around and around. */
function feed(reader: FrameReader, stream: Buffer, pieces: readonly number[]): string | undefined {
  for (let at = 0, n = 0; at < stream.length; n++) {
    const room = reader.room()
    assert(room.length > 0)
    const bytes = stream.copy(room, 0, at, at + (pieces[n % pieces.length] ?? 1))
    const problem = reader.took(bytes)
    if (problem !== undefined) return problem
    at += bytes
  }
  return undefined
}

describe('frames of a stream', () => {
  test('are the same for all ways to cut it', () => {
    const sizes = fc.array(fc.oneof(fc.nat(20), fc.integer({ min: 65_000, max: 200_000 })), {
      maxLength: 8,
    })
    const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1_000, max: 90_000 })), { minLength: 1 }) // prettier-ignore
    fc.assert(
      fc.property(sizes, pieces, (lengths, cuts) => {
        const frames = lengths.map((length, n) => framed(Buffer.alloc(length, n + 1)))
        const seen: Buffer[] = []
        const reader = new FrameReader((frame) => seen.push(frame))
        feed(reader, Buffer.concat(frames), cuts)
        assert.equal(seen.length, frames.length)
        frames.forEach((frame, n) => assert(seen[n]?.equals(frame), `frame ${n}`))
      }),
      { numRuns: 50 },
    )
  })

  test('a frame stays as it is when later ones arrive', () => {
    const seen: Buffer[] = []
    const reader = new FrameReader((frame) => seen.push(frame))
    feed(reader, framed(Buffer.from('first')), [100])
    feed(reader, framed(Buffer.from('other')), [100])
    assert.equal(seen[0]?.toString('utf8', 4), 'first')
  })

  test('a length that cannot be ends the connection instead of filling the memory', async () => {
    for (const length of [-1, 2 ** 31 - 1]) {
      const server = createServer((socket) => {
        const bytes = Buffer.alloc(4)
        bytes.writeInt32BE(length)
        socket.write(bytes)
        socket.on('error', () => undefined) // It is cut off, which is the point.
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const socket = connectFramed({ host: '127.0.0.1', port }, () => undefined)
      const [error] = (await once(socket, 'error')) as [Error]
      assert.equal(error.message, `a frame of ${length} bytes`)
      server.close()
    }
  })
})
