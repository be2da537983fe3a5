import assert from 'node:assert/strict'
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net'
import { after, describe, it } from 'node:test'
import mqtt from 'mqtt-packet'
import { MqttClient } from './mqtt-client.ts'

type Handler = (packet: mqtt.Packet, socket: Socket, connection: number) => void

const servers: Server[] = []
after(() => {
  for (const server of servers) server.close()
})

/** A server that does only what the test says, on a port of its own. */
async function serverWith(onPacket: Handler): Promise<number> {
  let connections = 0
  const server = createServer((socket) => {
    const connection = (connections += 1)
    const parser = mqtt.parser({ protocolVersion: 4 })
    socket.on('data', (bytes) => parser.parse(bytes))
    socket.on('error', () => {})
    parser.on('packet', (packet) => onPacket(packet, socket, connection))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has such an address.
  return (server.address() as AddressInfo).port
}

const connack = (returnCode = 0): Buffer =>
  mqtt.generate({ cmd: 'connack', returnCode, sessionPresent: false })
const puback = (messageId: number): Buffer => mqtt.generate({ cmd: 'puback', messageId })
const client = (port: number, reconnect = false): MqttClient =>
  new MqttClient({
    host: '127.0.0.1',
    port,
    clientId: 'c',
    username: 'u',
    password: 'p',
    ...(reconnect ? { reconnect: { firstMs: 1, maxMs: 5 } } : {}),
  })

describe('the MQTT client', () => {
  it('sends its credential and resolves a publish at its acknowledgement', async () => {
    const seen: mqtt.Packet[] = []
    const port = await serverWith((packet, socket) => {
      seen.push(packet)
      if (packet.cmd === 'connect') socket.write(connack())
      if (packet.cmd === 'publish') socket.write(puback(packet.messageId ?? 0))
    })
    const device = client(port)
    assert.deepEqual(await device.connect(), { kind: 'connected', sessionPresent: false })
    await device.publish('t', Buffer.from('{"a":1}'))
    await device.end()
    const [connect, publish] = seen
    assert.ok(connect?.cmd === 'connect' && connect.username === 'u')
    assert.equal(connect.password?.toString(), 'p')
    assert.ok(publish?.cmd === 'publish' && publish.qos === 1 && !publish.dup)
    assert.equal(device.counters.acknowledged, 1)
  })

  it('reports a refusal with its return code', async () => {
    const port = await serverWith((_packet, socket) => socket.write(connack(5)))
    assert.deepEqual(await client(port).connect(), { kind: 'refused', code: 5 })
  })

  it('sends unacknowledged messages again with DUP, in their first order, after a lost connection', async () => {
    const again: mqtt.IPublishPacket[] = []
    const port = await serverWith((packet, socket, connection) => {
      if (packet.cmd === 'connect') socket.write(connack())
      if (packet.cmd !== 'publish') return
      if (connection === 1) return void (packet.payload.toString() === '3' && socket.destroy())
      again.push(packet)
      socket.write(puback(packet.messageId ?? 0))
    })
    const device = client(port, true)
    await device.connect()
    await Promise.all(['1', '2', '3'].map((text) => device.publish('t', Buffer.from(text))))
    await device.end()
    assert.deepEqual(
      again.map(({ payload, dup }) => [payload.toString(), dup]),
      [
        ['1', true],
        ['2', true],
        ['3', true],
      ],
    )
    assert.equal(device.counters.resent, 3)
  })

  it('counts acknowledgements out of order and of messages it never sent', async () => {
    const port = await serverWith((packet, socket) => {
      if (packet.cmd === 'connect') socket.write(connack())
      if (packet.cmd !== 'publish' || packet.payload.toString() !== '2') return
      const id = packet.messageId ?? 0
      socket.write(Buffer.concat([puback(999), puback(id), puback(id - 1)]))
    })
    const device = client(port)
    await device.connect()
    await Promise.all(['1', '2'].map((text) => device.publish('t', Buffer.from(text))))
    assert.equal(device.counters.acksOutOfOrder, 1)
    assert.equal(device.counters.acksUnknown, 1)
    await device.end()
  })

  it('keeps messages beyond its in-flight bound in order until there is room', async () => {
    const order: string[] = []
    let open = 0
    let openMax = 0
    const port = await serverWith((packet, socket) => {
      if (packet.cmd === 'connect') socket.write(connack())
      if (packet.cmd !== 'publish') return
      openMax = Math.max(openMax, (open += 1))
      order.push(packet.payload.toString())
      setImmediate(() => {
        open -= 1
        socket.write(puback(packet.messageId ?? 0))
      })
    })
    const device = new MqttClient({ host: '127.0.0.1', port, clientId: 'c', inFlightMax: 2 })
    await device.connect()
    const texts = Array.from({ length: 20 }, (_, index) => String(index))
    await Promise.all(texts.map((text) => device.publish('t', Buffer.from(text))))
    assert.deepEqual(order, texts)
    assert.ok(openMax <= 2)
    await device.end()
  })

  it('fails what is unacknowledged when it ends', async () => {
    const port = await serverWith((packet, socket) => {
      if (packet.cmd === 'connect') socket.write(connack())
    })
    const device = client(port)
    await device.connect()
    const lost = assert.rejects(device.publish('t', Buffer.from('1')), /ended/)
    await device.end()
    await lost
  })
})
