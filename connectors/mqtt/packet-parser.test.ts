/** Frames on real bytes: cut anywhere, malformed in every way we know, and random. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  DISCONNECT,
  PINGREQ,
  connectPacket,
  field,
  packet,
  publishPacket,
  pubrelPacket,
  subscribePacket,
  unsubscribePacket,
} from '../testing/client-packet-writer.ts'
import type { Decoded } from './packet-decoder.ts'
import { PacketParser, type TooLarge } from './packet-parser.ts'

const PACKET_BYTES_MAX = 300

const STREAM = Buffer.concat([
  connectPacket({
    clientId: 'c1',
    clean: false,
    keepAliveS: 300,
    username: 'press-7@acme',
    password: 'secret',
    will: { topic: 't', payload: '{"alive":false}', qos: 1 },
  }),
  publishPacket({ payload: '{"a":1}', packetId: 258 }),
  publishPacket({
    payload: 'x'.repeat(200),
    qos: 0,
    retain: true,
    topic: 'v1/devices/me/telemetry',
  }),
  publishPacket({ payload: '', qos: 2, packetId: 65_535, dup: true }),
  pubrelPacket(65_535),
  subscribePacket(5, ['c/#', 'é']),
  unsubscribePacket(6, ['c/#']),
  PINGREQ,
  DISCONNECT,
])

const WHOLE = [
  {
    kind: 'connect',
    clientId: 'c1',
    cleanSession: false,
    keepAliveS: 300,
    username: 'press-7@acme',
    password: Buffer.from('secret'),
    will: { topic: 't', payload: Buffer.from('{"alive":false}'), qos: 1, retain: false },
  },
  published({ packetId: 258, payload: '{"a":1}' }),
  published({ qos: 0, retain: true, topic: 'v1/devices/me/telemetry', payload: 'x'.repeat(200) }),
  published({ qos: 2, packetId: 65_535, dup: true, payload: '' }),
  { kind: 'pubrel', packetId: 65_535 },
  {
    kind: 'subscribe',
    packetId: 5,
    filters: [
      { filter: 'c/#', qos: 0 },
      { filter: 'é', qos: 0 },
    ],
  },
  { kind: 'unsubscribe', packetId: 6, filters: ['c/#'] },
  { kind: 'pingreq' },
  { kind: 'disconnect' },
]

function published(fields: Readonly<{ payload: string }> & Readonly<Record<string, unknown>>) {
  const usual = { kind: 'publish', topic: 't', qos: 1, dup: false, retain: false, packetId: 0 }
  return { ...usual, ...fields, payload: Buffer.from(fields.payload) }
}

/** Everything the parser gives, up to the first thing that ends a connection. */
function parse(chunks: readonly Buffer[], packetBytesMax = PACKET_BYTES_MAX) {
  const parser = new PacketParser(packetBytesMax)
  const found: (Decoded | TooLarge)[] = []
  for (const chunk of chunks) {
    parser.push(chunk)
    for (let next = parser.next(); next !== undefined; next = parser.next()) {
      found.push(next)
      if (next.kind === 'malformed' || next.kind === 'too_large') return found
    }
  }
  return found
}

describe('a stream of packets', () => {
  it('is read the same wherever it is cut in two', () => {
    for (let cut = 0; cut <= STREAM.length; cut++) {
      assert.deepEqual(parse([STREAM.subarray(0, cut), STREAM.subarray(cut)]), WHOLE)
    }
  })

  it('is read byte by byte', () => {
    assert.deepEqual(parse([...STREAM].map((byte) => Buffer.from([byte]))), WHOLE)
  })

  it('is read the same however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 12 }), (cuts) => {
        const edges = [0, ...cuts.toSorted((a, b) => a - b), STREAM.length]
        const chunks = edges.map((edge, at) => STREAM.subarray(edges[at - 1] ?? 0, edge))
        assert.deepEqual(parse(chunks), WHOLE)
      }),
    )
  })

  it('that ends early gives no packet and no complaint', () => {
    const one = publishPacket({ payload: '{"a":1}' })
    for (let cut = 0; cut < one.length; cut++) assert.deepEqual(parse([one.subarray(0, cut)]), [])
  })
})

describe('a payload that was handed out', () => {
  it('stays as it was while later bytes arrive', () => {
    const parser = new PacketParser(PACKET_BYTES_MAX)
    const bytes = Buffer.concat([
      publishPacket({ payload: 'first' }),
      publishPacket({ payload: 'second' }),
    ])
    const payloads: Buffer[] = []
    for (const byte of bytes) {
      parser.push(Buffer.from([byte]))
      const next = parser.next()
      if (next?.kind === 'publish') payloads.push(next.payload)
    }
    assert.deepEqual(payloads.map(String), ['first', 'second'])
  })
})

describe('a length', () => {
  it('over the limit is refused from its header alone', () => {
    for (const header of ['30ff7f', '30ffffff7f', '30b002']) {
      const [found] = parse([Buffer.from(header, 'hex')])
      assert.equal(found?.kind, 'too_large', header)
    }
  })

  it('of five bytes is malformed', () => {
    assert.equal(parse([Buffer.from('30ffffffff01', 'hex')])[0]?.kind, 'malformed')
  })

  it('announced and never sent holds little memory', () => {
    const parser = new PacketParser(10_000_000)
    parser.push(Buffer.from('30ffffff03', 'hex'))
    parser.push(Buffer.from([0]))
    assert.equal(parser.next(), undefined)
    assert.equal(parser.waitingBytes, 6)
  })
})

const utf16 = 'eda080' // U+D800 in three bytes: not UTF-8 [MQTT-1.5.3-1]
const MALFORMED: Readonly<Record<string, Buffer>> = {
  'packet type 0': Buffer.from('0000', 'hex'),
  'packet type 15': Buffer.from('f000', 'hex'),
  'a CONNACK from a client': Buffer.from('20020000', 'hex'),
  'flags on PINGREQ': Buffer.from('c100', 'hex'),
  'no flags on PUBREL': Buffer.from('60020001', 'hex'),
  'no flags on SUBSCRIBE': Buffer.from('8006000100016100', 'hex'),
  'a body on PINGREQ': Buffer.from('c00100', 'hex'),
  'a body on DISCONNECT': Buffer.from('e00100', 'hex'),
  'QoS 3': Buffer.from('36050001740001', 'hex'),
  'DUP at QoS 0': Buffer.from('3803000174', 'hex'),
  'packet identifier 0': Buffer.from('32050001740000', 'hex'),
  'PUBLISH without a topic length': Buffer.from('300100', 'hex'),
  'PUBLISH cut in its topic': Buffer.from('3003000574', 'hex'),
  'PUBLISH cut in its identifier': Buffer.from('320400017400', 'hex'),
  'an empty topic': Buffer.from('30020000', 'hex'),
  'a topic with U+0000': packet(0x30, field(Buffer.from('7400', 'hex'))),
  'a topic that is not UTF-8': packet(0x30, field(Buffer.from(utf16, 'hex'))),
  'a topic with +': packet(0x30, field('a/+')),
  'a topic with #': packet(0x30, field('#')),
  'PUBACK of one byte': Buffer.from('400101', 'hex'),
  'PUBACK of identifier 0': Buffer.from('40020000', 'hex'),
  'SUBSCRIBE without a filter': Buffer.from('82020001', 'hex'),
  'SUBSCRIBE of identifier 0': subscribePacket(0, ['a']),
  'SUBSCRIBE with an empty filter': subscribePacket(1, ['']),
  'SUBSCRIBE without a QoS': packet(0x82, Buffer.from([0, 1]), field('a')),
  'SUBSCRIBE at QoS 3': packet(0x82, Buffer.from([0, 1]), field('a'), Buffer.from([3])),
  'UNSUBSCRIBE without a filter': Buffer.from('a2020001', 'hex'),
  'another protocol': connectPacket({ protocol: 'HTTP' }),
  'CONNECT cut after its name': packet(0x10, field('MQTT')),
  'CONNECT cut in its keep-alive': packet(0x10, field('MQTT'), Buffer.from([4, 2, 0])),
  'the reserved connect flag': packet(0x10, field('MQTT'), Buffer.from([4, 3, 0, 0]), field('')),
  'will QoS without a will': packet(0x10, field('MQTT'), Buffer.from([4, 10, 0, 0]), field('')),
  'will retain without a will': packet(0x10, field('MQTT'), Buffer.from([4, 34, 0, 0]), field('')),
  'will QoS 3': packet(0x10, field('MQTT'), Buffer.from([4, 30, 0, 0]), field('')),
  'a password without a username': connectPacket({ password: 'x' }),
  'CONNECT without the username it announces': packet(
    0x10,
    field('MQTT'),
    Buffer.from([4, 0x82, 0, 0]),
    field('c'),
  ),
  'bytes after the CONNECT payload': packet(
    0x10,
    field('MQTT'),
    Buffer.from([4, 2, 0, 0]),
    field('c'),
    field('more'),
  ),
  'a client id that is not UTF-8': packet(
    0x10,
    field('MQTT'),
    Buffer.from([4, 2, 0, 0]),
    field(Buffer.from(utf16, 'hex')),
  ),
}

describe('malformed:', () => {
  for (const [name, bytes] of Object.entries(MALFORMED)) {
    it(name, () => {
      assert.deepEqual(
        parse([bytes]).map(({ kind }) => kind),
        ['malformed'],
      )
    })
  }

  it('another protocol level is told apart, whatever follows it', () => {
    for (const [protocol, level] of [
      ['MQTT', 5],
      ['MQTT', 3],
      ['MQIsdp', 3],
    ] as const) {
      const [found] = parse([connectPacket({ protocol, level })])
      assert.deepEqual(found, { kind: 'connect_unsupported', level })
    }
  })
})

describe('random bytes', () => {
  it('never throw, and never hand out more than arrived', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (chunks) => {
        const buffers = chunks.map((chunk) => Buffer.from(chunk))
        const arrived = buffers.reduce((sum, { length }) => sum + length, 0)
        let handedOut = 0
        for (const found of parse(buffers)) {
          if (found.kind === 'publish') handedOut += found.payload.length
        }
        assert.ok(handedOut <= arrived)
      }),
      { numRuns: 2000 },
    )
  })

  it('changed in one place of a good stream never throw', () => {
    fc.assert(
      fc.property(fc.nat(STREAM.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(STREAM)
        changed[at] = value
        parse([changed])
      }),
      { numRuns: 2000 },
    )
  })
})
