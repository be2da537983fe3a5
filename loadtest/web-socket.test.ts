import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { WebSocketServer } from 'ws'
import { FrameReader, openTextSocket } from './web-socket.ts'

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
await new Promise((resolve) => server.once('listening', resolve))
// A server that listens on TCP has such an address.
const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
after(() => {
  for (const peer of server.clients) peer.terminate()
  server.close()
})

describe('the WebSocket client', () => {
  for (const length of [0, 125, 126, 65_535, 65_536, 300_000]) {
    it(`sends and receives ${length} bytes against another implementation`, async () => {
      server.once('connection', (peer) =>
        peer.on('message', (data: Buffer) => peer.send(data.toString())),
      )
      const text = 'ä'.repeat(length / 2) + 'x'.repeat(length % 2)
      const echoed = await new Promise<string>((resolve, reject) => {
        openTextSocket(url, { message: resolve, closed: () => {} }).then(
          (socket) => socket.send(text),
          reject,
        )
      })
      assert.equal(echoed, text)
    })
  }

  it('answers a ping and tells why it was closed', async () => {
    let ponged = false
    server.once('connection', (peer) => {
      peer.on('pong', () => {
        ponged = true
        peer.close(4001, 'enough')
      })
      peer.ping()
    })
    const reason = await new Promise<string>((resolve, reject) => {
      openTextSocket(url, { message: () => {}, closed: resolve }).catch(reject)
    })
    assert.ok(ponged)
    assert.equal(reason, 'closed with 4001 enough')
  })

  it('refuses an address where nobody speaks WebSocket', async () => {
    const nowhere = new URL('http://127.0.0.1:1/')
    await assert.rejects(openTextSocket(nowhere, { message() {}, closed() {} }), /no WebSocket/)
  })

  it('reads frames that are cut at every byte', () => {
    const bytes = Buffer.from([0x01, 0x02, 0x61, 0x62, 0x80, 0x7e, 0x00, 0x01, 0x63])
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new FrameReader()
      const frames = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))]
      assert.deepEqual(
        frames.map(({ payload, final }) => [payload.toString(), final]),
        [
          ['ab', false],
          ['c', true],
        ],
      )
    }
  })
})
