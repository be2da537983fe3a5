/** What a PUBACK promises: durable first, in order, whatever the log does. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { PINGREQ, publishPacket, pubrelPacket } from '../testing/client-packet-writer.ts'
import { newSession, rememberStamp, stampOf } from './session.ts'
import { type Bench, type BenchOptions, type Peer, startBench } from '../testing/mqtt-bench.ts'

const puback = (...ids: readonly number[]) =>
  Buffer.from(ids.flatMap((id) => [0x40, 2, id >> 8, id & 0xff]))
const PINGRESP_HEX = 'd000'

async function withBench(options: BenchOptions, run: (bench: Bench) => Promise<void>) {
  const bench = await startBench(options)
  try {
    await run(bench)
  } finally {
    await bench.stop()
  }
}

/** The receive stamp of a record: the bench writes Telemetry as JSON. */
function recvTsOf(value: Buffer | null | undefined): number {
  const telemetry: unknown = JSON.parse(String(value))
  assert.ok(typeof telemetry === 'object' && telemetry !== null && 'recvTs' in telemetry)
  return Number(telemetry.recvTs)
}

/** The server has handled everything sent before, once it answers a PINGREQ. */
async function sync(peer: Peer): Promise<void> {
  peer.send(PINGREQ)
  assert.equal((await peer.receive(2)).toString('hex'), PINGRESP_HEX)
}

describe('a stored message', () => {
  let bench: Bench
  let peer: Peer
  before(async () => {
    bench = await startBench({ storesAtOnce: false })
  })
  beforeEach(async () => {
    bench.writer.records.length = 0
    peer = await bench.open({ clientId: 'c' })
  })
  after(() => bench.stop())

  it('is not acknowledged before the log has it', async () => {
    peer.send(publishPacket({ payload: '{"a":1}', packetId: 7 }))
    await bench.writer.appended(1)
    await sync(peer)
    assert.equal(peer.waiting.length, 0)
    bench.writer.records[0]?.store()
    assert.deepEqual(await peer.receive(4), puback(7))
  })

  it('is acknowledged in the order of publishing when the log answers out of order', async () => {
    peer.send(...[1, 2, 3].map((id) => publishPacket({ payload: `{"a":${id}}`, packetId: id })))
    await bench.writer.appended(3)
    const [first, second, third] = bench.writer.records
    third?.store()
    second?.store()
    await sync(peer)
    assert.equal(peer.waiting.length, 0)
    first?.store()
    assert.deepEqual(await peer.receive(12), puback(1, 2, 3))
  })

  it('at QoS 0 is stored without an answer', async () => {
    peer.send(publishPacket({ payload: '{"a":1}', qos: 0 }))
    await bench.writer.appended(1)
    bench.writer.records[0]?.store()
    await sync(peer)
    assert.equal(peer.waiting.length, 0)
  })

  it('at QoS 2 is received once, however often it comes', async () => {
    const publish = publishPacket({ payload: '{"a":1}', qos: 2, packetId: 9 })
    peer.send(publish)
    await bench.writer.appended(1)
    bench.writer.records[0]?.store()
    assert.equal((await peer.receive(4)).toString('hex'), '50020009')
    peer.send(publishPacket({ payload: '{"a":1}', qos: 2, packetId: 9, dup: true }))
    assert.equal((await peer.receive(4)).toString('hex'), '50020009')
    assert.equal(bench.writer.records.length, 1)
    peer.send(pubrelPacket(9))
    assert.equal((await peer.receive(4)).toString('hex'), '70020009')
    peer.send(publish)
    await bench.writer.appended(2)
  })

  it('to an unknown topic is acknowledged once its dead letter is durable', async () => {
    peer.send(publishPacket({ topic: 'elsewhere', payload: 'anything', packetId: 3 }))
    await bench.writer.appended(1)
    await sync(peer)
    assert.equal(peer.waiting.length, 0)
    const [letter] = bench.writer.records
    assert.equal(letter?.topic, 'telemetry.v1.dlq')
    assert.equal(letter?.record.value?.toString(), 'anything')
    const reason = letter?.record.headers?.[DEAD_LETTER_HEADERS.reason]
    assert.equal(reason?.toString(), 'topic_unknown')
    letter?.store()
    assert.deepEqual(await peer.receive(4), puback(3))
  })
})

describe('a message that comes again after a reconnect', () => {
  it('keeps its stamp when the session is kept', () =>
    withBench({ storesAtOnce: false }, async (bench) => {
      const first = await bench.open({ clientId: 'c', clean: false })
      first.send(publishPacket({ payload: '{"a":1}', packetId: 5 }))
      await bench.writer.appended(1)
      await first.close()
      const again = await bench.open({ clientId: 'c', clean: false })
      again.send(publishPacket({ payload: '{"a":1}', packetId: 5, dup: true }))
      await bench.writer.appended(2)
      const [one, two] = bench.writer.records
      assert.deepEqual(two?.record.value, one?.record.value)
    }))

  it('is new when the identifier is used for another message', () =>
    withBench({}, async (bench) => {
      const peer = await bench.open({ clientId: 'c', clean: false })
      peer.send(publishPacket({ payload: '{"a":1}', packetId: 5 }))
      peer.send(publishPacket({ payload: '{"a":1}', packetId: 5 }))
      await peer.receive(8)
      const [one, two] = bench.writer.records
      assert.notDeepEqual(two?.record.value, one?.record.value)
    }))

  it('is not swallowed when it never arrived and its identifier was used before', () =>
    withBench({}, async (bench) => {
      const first = await bench.open({ clientId: 'c', clean: false })
      first.send(publishPacket({ payload: '{"a":1}', packetId: 5 }))
      await first.receive(4)
      await first.close()
      const again = await bench.open({ clientId: 'c', clean: false })
      again.send(publishPacket({ payload: '{"a":2}', packetId: 5, dup: true }))
      await again.receive(4)
      const [one, two] = bench.writer.records.map(({ record }) => recvTsOf(record.value))
      assert.notEqual(two, one)
    }))

  it('is stamped with the time when its identifier was last used by a refused message', () =>
    withBench({}, async (bench) => {
      const first = await bench.open({ clientId: 'c', clean: false })
      first.send(publishPacket({ payload: 'not JSON', packetId: 5 }))
      await first.receive(4)
      await first.close()
      const again = await bench.open({ clientId: 'c', clean: false })
      again.send(publishPacket({ payload: '{"a":1}', packetId: 5, dup: true }))
      await again.receive(4)
      assert.ok(recvTsOf(bench.writer.records[1]?.record.value) > 0)
    }))

  it('finds its session after a structured clone', () => {
    const session = newSession('c', false)
    session.awaitingRelease.add(3)
    const sent = { packetId: 5, payload: Buffer.from('{"a":1}') }
    rememberStamp(session, sent, 1000)
    const copy = structuredClone(session)
    assert.deepEqual(copy, session)
    assert.equal(stampOf(copy, sent), 1000)
  })
})

describe('a flood of QoS 2 messages that are never released', () => {
  it('ends the connection at the limit', () =>
    withBench({ limits: { unreleasedMax: 10 } }, async (bench) => {
      const peer = await bench.open({ clientId: 'c' })
      for (let packetId = 1; packetId <= 10; packetId++) {
        peer.send(publishPacket({ payload: '{"a":1}', qos: 2, packetId }))
        await peer.receive(4)
      }
      peer.send(publishPacket({ payload: '{"a":1}', qos: 2, packetId: 11 }))
      assert.equal((await peer.ended).length, 0)
      assert.equal(bench.writer.records.length, 10)
    }))
})

describe('backpressure', () => {
  it('holds messages back while the log is full, and loses none', () =>
    withBench({}, async (bench) => {
      const peer = await bench.open({ clientId: 'c' })
      bench.writer.setFull(true)
      const ids = Array.from({ length: 50 }, (_, index) => index + 1)
      peer.send(...ids.map((id) => publishPacket({ payload: `{"a":${id}}`, packetId: id })))
      // Another device notices nothing.
      const other = await bench.open({ clientId: 'd' })
      await sync(other)
      assert.equal(bench.writer.records.length, 0)
      bench.writer.setFull(false)
      assert.deepEqual(await peer.receive(200), puback(...ids))
    }))

  it('bounds what is in flight and reads on below the low mark', () =>
    withBench({ storesAtOnce: false, limits: { inFlightMax: 4 } }, async (bench) => {
      const peer = await bench.open({ clientId: 'c' })
      const ids = Array.from({ length: 10 }, (_, index) => index + 1)
      peer.send(...ids.map((id) => publishPacket({ payload: `{"a":${id}}`, packetId: id })))
      await bench.writer.appended(4)
      await sync(await bench.open({ clientId: 'd' }))
      assert.equal(bench.writer.records.length, 4)
      bench.writer.storesAtOnce = true
      for (const held of bench.writer.records.slice(0, 4)) held.store()
      assert.deepEqual(await peer.receive(40), puback(...ids))
    }))
})
