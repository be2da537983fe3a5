/** How connections begin and end: every CONNACK, every reason to close, and nothing left behind. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import type { Clock } from '../../platform/clock.ts'
import {
  type ConnectFields,
  DISCONNECT,
  PINGREQ,
  connectPacket,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from '../testing/client-packet-writer.ts'
import { type Bench, DEVICE, SECRET, TENANT, startBench } from '../testing/mqtt-bench.ts'

const USERNAME = `${DEVICE}@${TENANT}`
const GOOD = { clientId: 'c', username: USERNAME, password: SECRET }
const connackHex = (code: number) => `2002000${code}`

let bench: Bench
before(async () => {
  bench = await startBench({ limits: { connectTimeoutMs: 200 } })
  bench.devices.add('suspended-1', 'suspended secret', 'suspended')
})
after(() => bench.stop())

async function answerTo(fields: ConnectFields): Promise<string> {
  const peer = await bench.open()
  peer.send(connectPacket(fields))
  const answer = (await peer.receive(4)).toString('hex')
  if (answer === connackHex(0)) await peer.close()
  else assert.equal((await peer.ended).length, 0)
  return answer
}

describe('CONNECT', () => {
  const cases: readonly (readonly [string, ConnectFields, number])[] = [
    ['with the credentials of a device is accepted', GOOD, 0],
    ['with the secret alone as username is accepted', { clientId: 'c', username: SECRET }, 0],
    [
      'with the secret as username and an empty password is accepted',
      { username: SECRET, password: '' },
      0,
    ],
    ['without a client id is accepted in a clean session', { ...GOOD, clientId: '' }, 0],
    ['without a client id needs a clean session', { ...GOOD, clientId: '', clean: false }, 2],
    ['with a client id beyond the limit is refused', { ...GOOD, clientId: 'x'.repeat(257) }, 2],
    ['without a username is refused', { clientId: 'c' }, 5],
    ['with a wrong secret is refused', { ...GOOD, password: 'wrong' }, 5],
    ['of an unknown device is refused alike', { ...GOOD, username: 'ghost@acme' }, 5],
    ['of another tenant is refused alike', { ...GOOD, username: `${DEVICE}@other` }, 5],
    [
      'of a suspended device is refused alike',
      { username: 'suspended-1@acme', password: 'suspended secret' },
      5,
    ],
    ['of MQTT 5 is told that its level is unacceptable', { ...GOOD, level: 5 }, 1],
    ['of MQTT 3.1 is told that its level is unacceptable', { protocol: 'MQIsdp', level: 3 }, 1],
  ]
  for (const [name, fields, code] of cases) {
    it(name, async () => assert.equal(await answerTo(fields), connackHex(code)))
  }

  it('is refused as unavailable while the database is down, and only for the unknown', async () => {
    assert.equal(await answerTo(GOOD), connackHex(0))
    bench.devices.down = true
    assert.equal(await answerTo(GOOD), connackHex(0))
    assert.equal(await answerTo({ ...GOOD, password: 'never seen' }), connackHex(3))
    bench.devices.down = false
  })

  it('followed by messages at once loses none', async () => {
    const peer = await bench.open()
    peer.send(connectPacket(GOOD), publishPacket({ payload: '{"a":1}', packetId: 4 }), DISCONNECT)
    assert.equal((await peer.receive(8)).toString('hex'), `${connackHex(0)}40020004`)
    await peer.ended
  })

  it('that does not come in time closes the connection', async () => {
    const peer = await bench.open()
    peer.send(connectPacket(GOOD).subarray(0, 5))
    assert.equal((await peer.ended).length, 0)
  })

  it('larger than a stranger may send is not gathered', async () => {
    const peer = await bench.open()
    peer.send(Buffer.from('10ffff7f', 'hex'))
    assert.equal((await peer.ended).length, 0)
  })
})

describe('a connection is closed', () => {
  const reasons: Readonly<Record<string, Buffer>> = {
    'after a second CONNECT': connectPacket(GOOD),
    'after a malformed packet': Buffer.from('36050001740001', 'hex'),
    'after a packet larger than the limit': Buffer.from('30ffff7f', 'hex'),
    'after DISCONNECT': DISCONNECT,
  }
  for (const [name, bytes] of Object.entries(reasons)) {
    it(name, async () => {
      const peer = await bench.open({ clientId: name })
      peer.send(bytes)
      assert.equal((await peer.ended).length, 0)
    })
  }

  it('before CONNECT if anything else comes first', async () => {
    const peer = await bench.open()
    peer.send(PINGREQ)
    assert.equal((await peer.ended).length, 0)
  })

  it('when the same client of the same device connects again', async () => {
    const older = await bench.open({ clientId: 'twin' })
    const newer = await bench.open({ clientId: 'twin' })
    await older.ended
    newer.send(PINGREQ)
    assert.equal((await newer.receive(2)).toString('hex'), 'd000')
    await newer.close()
  })

  it('but not by another device that uses its client id', async () => {
    bench.devices.add('press-8', 'other secret')
    const victim = await bench.open({ clientId: 'shared' })
    const other = await bench.open({
      clientId: 'shared',
      username: 'press-8@acme',
      password: 'other secret',
    })
    for (const peer of [other, victim]) {
      peer.send(PINGREQ)
      assert.equal((await peer.receive(2)).toString('hex'), 'd000')
      await peer.close()
    }
  })

  it('when its device is removed, and cannot come back', async () => {
    bench.devices.add('doomed', 'doomed secret')
    const fields = { clientId: 'c', username: 'doomed@acme', password: 'doomed secret' }
    const peer = await bench.open(fields)
    bench.devices.remove('doomed')
    bench.devices.tellChanged('doomed')
    await peer.ended
    assert.equal(await answerTo(fields), connackHex(5))
  })

  it('not when its device only changed its name', async () => {
    const peer = await bench.open({ clientId: 'renamed' })
    bench.devices.tellChanged(DEVICE)
    peer.send(PINGREQ)
    assert.equal((await peer.receive(2)).toString('hex'), 'd000')
    await peer.close()
  })
})

describe('a subscription', () => {
  it('is refused filter by filter, and its end confirmed', async () => {
    const peer = await bench.open({ clientId: 'subscriber' })
    peer.send(subscribePacket(10, ['c/#', 'tw/#']), unsubscribePacket(11, ['c/#']))
    assert.equal((await peer.receive(10)).toString('hex'), '9004000a8080b002000b')
    await peer.close()
  })
})

describe('a will', () => {
  it('to a telemetry topic is stored when the device vanishes, and not when it leaves', async () => {
    const from = bench.writer.records.length
    const will = { topic: 't', payload: '{"online":false}' }
    const polite = await bench.open({ clientId: 'polite', will })
    polite.send(DISCONNECT)
    await polite.ended
    const rude = await bench.open({ clientId: 'rude', will })
    const stored = bench.writer.appended(from + 1)
    rude.socket.destroy()
    await stored
    assert.equal(bench.writer.records.length, from + 1)
  })
})

describe('a payload over the limit', () => {
  it('is dead-lettered with all its bytes and acknowledged', async () => {
    const from = bench.writer.records.length
    const peer = await bench.open({ clientId: 'large' })
    const payload = `{"a":"${'x'.repeat(3000)}"}`
    peer.send(publishPacket({ payload, packetId: 2 }))
    assert.equal((await peer.receive(4)).toString('hex'), '40020002')
    const letter = bench.writer.records[from]
    assert.equal(letter?.record.value?.toString(), payload)
    const reason = letter?.record.headers?.[DEAD_LETTER_HEADERS.reason]
    assert.equal(reason?.toString(), 'payload_too_large')
    await peer.close()
  })
})

describe('time limits', () => {
  it('end a silent connection after one and a half keep-alives', async () => {
    let nowMs = 0
    const clock: Clock = { nowMs: () => 1_767_225_600_000 + nowMs, monotonicMs: () => nowMs }
    const timed = await startBench({ clock })
    const silent = await timed.open({ clientId: 's', keepAliveS: 10 })
    const forever = await timed.open({ clientId: 'f', keepAliveS: 0 })
    nowMs = 14_000
    const speaking = await timed.open({ clientId: 'p', keepAliveS: 10 })
    nowMs = 16_000
    await silent.ended
    for (const peer of [forever, speaking]) {
      peer.send(PINGREQ)
      assert.equal((await peer.receive(2)).toString('hex'), 'd000')
      await peer.close()
    }
    await timed.stop()
  })
})

describe('draining', () => {
  it('sends the acknowledgements still owed, then closes, and takes nobody new', async () => {
    const held = await startBench({ storesAtOnce: false })
    const peer = await held.open({ clientId: 'c' })
    peer.send(publishPacket({ payload: '{"a":1}', packetId: 8 }))
    await held.writer.appended(1)
    const drained = held.listener.drain(10_000)
    held.writer.records[0]?.store()
    assert.equal((await peer.receive(4)).toString('hex'), '40020008')
    await peer.ended
    await drained
    await assert.rejects(held.open())
    await held.stop()
  })

  it('acknowledges nothing that the log gave up', async () => {
    const held = await startBench({ storesAtOnce: false })
    const peer = await held.open({ clientId: 'c' })
    peer.send(publishPacket({ payload: '{"a":1}', packetId: 8 }))
    await held.writer.appended(1)
    await held.writer.drain()
    assert.equal((await peer.ended).length, 0)
    await held.stop()
  })
})

describe('random bytes from strangers and from devices', () => {
  it('end in an orderly close, every time, and leave no connection', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 5 }),
        async (known, chunks) => {
          const peer = await bench.open(known ? { clientId: 'fuzz' } : undefined)
          for (const chunk of chunks) peer.socket.write(chunk)
          peer.socket.end()
          await peer.ended
        },
      ),
      { numRuns: 150 },
    )
    // Ends only if the listener forgets every one of them.
    while (bench.listener.connectionCount > 0) await nextTurn()
  })
})
