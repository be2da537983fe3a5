/** The gate: what is stored, what becomes a dead letter and how, stamps, and being full. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { Metrics } from '../platform/observe/metrics.ts'
import { DEAD_LETTER_HEADERS } from '../schemas/dead-letter.ts'
import {
  CLOCK_SKEW_MS_MAX,
  DAY_MS,
  METRICS_PER_DEVICE_MAX,
  type Telemetry,
} from '../schemas/telemetry.ts'
import { partitionOf } from '../schemas/topics.ts'
import { DeviceLanes } from './device-lanes.ts'
import { HoldingWriter } from './testing/holding-writer.ts'
import { type Acceptance, Ingress } from './ingress.ts'
import { Tally } from './tally.ts'

const NOW = 1_767_225_600_000
const PARTITIONS = 8

let writer: HoldingWriter
let ingress: Ingress
let metrics: Metrics
let tally: Tally
let told: [device: string, reason: string][]
beforeEach(() => {
  writer = new HoldingWriter({ storesAtOnce: true })
  metrics = new Metrics({ role: 'test', processMetrics: false })
  tally = new Tally(metrics)
  told = []
  ingress = gateFor(100)
})

function gateFor(payloadBytesMax: number): Ingress {
  return new Ingress({
    writer,
    lanes: new DeviceLanes(PARTITIONS),
    tally,
    topicPrefix: 'x_',
    payloadBytesMax,
    acceptedAgeMs: 30 * DAY_MS,
    encode: (telemetry) => Buffer.from(JSON.stringify(telemetry)),
    deadLetterSource: { service: 'connectors', version: '1.2.3' },
    deadLetterPartitions: 3,
    quarantinePartitions: 3,
    refusals: { refused: (lane, refusal) => told.push([lane.device, refusal.reason]) },
  })
}

function say(device: string, payload: string | Buffer, receivedAtMs = NOW): Acceptance {
  const lane = ingress.openLane('acme', device)
  const acceptance = ingress.accept(lane, {
    protocol: 'mqtt',
    payload: Buffer.from(payload),
    receivedAtMs,
  })
  ingress.closeLane(lane)
  return acceptance
}

it('refuses a message that would give a device more metrics than the limit, and only that one', () => {
  const metricsFrom = (first: number, count: number) =>
    JSON.stringify(
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`m${first + n}`, 1])),
    )
  const lane = ingress.openLane('acme', 'runaway')
  const accept = (payload: string) => {
    const message = { protocol: 'mqtt', payload: Buffer.from(payload), receivedAtMs: NOW } as const
    const acceptance = ingress.accept(lane, message)
    assert.equal(acceptance.kind, 'taken')
    return acceptance.kind === 'taken' ? acceptance.verdict : undefined
  }
  for (let first = 0; first < METRICS_PER_DEVICE_MAX - 2; first += 2) {
    assert.deepEqual(accept(metricsFrom(first, 2)), { kind: 'stored' })
  }
  const verdict = accept(metricsFrom(METRICS_PER_DEVICE_MAX - 2, 3))
  assert.equal(verdict?.kind === 'rejected' && verdict.reason, 'too_many_metrics')
  assert.deepEqual(accept(metricsFrom(0, 2)), { kind: 'stored' }, 'known metrics go on')
  assert.deepEqual(accept(metricsFrom(METRICS_PER_DEVICE_MAX - 2, 2)), { kind: 'stored' })
  assert.equal(accept('{"one_more":1}')?.kind, 'rejected')
  assert.deepEqual(say('neighbour', '{"a":1}').kind, 'taken')
})

it('tells of a refusal, which the device itself may never learn', () => {
  say('boiler', '{}}')
  assert.deepEqual(told, [['boiler', 'payload_not_json']])
})

/** What was handed to the log, decoded again. */
function telemetry(index: number): Telemetry {
  // Encoded as JSON by the options above.
  return JSON.parse(String(writer.records[index]?.record.value)) as Telemetry
}

describe('an accepted message', () => {
  it('becomes one record under its device, where every Kafka client would put it', () => {
    const acceptance = say('press-7', '{"a":1,"b":true}')
    assert.equal(acceptance.kind === 'taken' && acceptance.verdict.kind, 'stored')
    const [held] = writer.records
    assert.equal(held?.topic, 'x_telemetry.v1')
    assert.equal(held?.record.key?.toString(), 'acme/press-7')
    assert.equal(held?.partition, partitionOf(Buffer.from('acme/press-7'), PARTITIONS))
    assert.deepEqual(telemetry(0), {
      tenant: 'acme',
      device: 'press-7',
      recvTs: NOW,
      protocol: 'mqtt',
      stamped: false,
      numbers: [{ metric: 'a', t0: NOW, dt: [0], v: [1] }],
      booleans: [{ metric: 'b', t0: NOW, dt: [0], v: [true] }],
      strings: [],
      seq: null,
      shiftMs: 0,
    })
  })

  it('with its own time says so', () => {
    say('press-7', '{"ts":1000,"values":{"a":1}}')
    assert.equal(telemetry(0).stamped, true)
    assert.equal(telemetry(0).numbers[0]?.t0, 1000)
  })
})

describe('receive stamps', () => {
  it('grow for every message of a device, in one millisecond and when the clock steps back', () => {
    for (const receivedAtMs of [NOW, NOW, NOW, NOW + 2, NOW - 5000, NOW + 10]) {
      say('press-7', '{"a":1}', receivedAtMs)
    }
    const stamps = writer.records.map((_, index) => telemetry(index).recvTs - NOW)
    assert.deepEqual(stamps, [0, 1, 2, 3, 4, 10])
  })

  it('follow a clock that was set back by much, which would else block the device', () => {
    for (const receivedAtMs of [NOW, NOW - 3_600_000, NOW - 3_600_000]) {
      assert.equal(say('press-7', '{"a":1}', receivedAtMs).kind, 'taken')
    }
    const stamps = writer.records.map((_, index) => telemetry(index).recvTs - NOW)
    assert.deepEqual(stamps, [0, -3_600_000, -3_599_999])
  })

  it('of several readings in one message are not given again', () => {
    say('press-7', '[{"a":1},{"a":2},{"a":3}]')
    say('press-7', '{"a":4}')
    assert.deepEqual(telemetry(0).numbers[0]?.dt, [0, 1, 2])
    assert.equal(telemetry(1).recvTs, NOW + 3)
  })

  it('of different devices do not touch each other', () => {
    say('press-7', '{"a":1}')
    say('press-8', '{"a":1}')
    assert.deepEqual([telemetry(0).recvTs, telemetry(1).recvTs], [NOW, NOW])
  })

  it('are shared by all connections of a device', () => {
    const lanes = [ingress.openLane('acme', 'press-7'), ingress.openLane('acme', 'press-7')]
    assert.equal(lanes[0], lanes[1])
  })

  it('never run far ahead of the clock: the device has to wait', () => {
    const lane = ingress.openLane('acme', 'press-7')
    lane.lastStampMs = NOW + 30_000
    const submission = { protocol: 'mqtt', payload: Buffer.from('{"a":1}') } as const
    const now = ingress.accept(lane, { ...submission, receivedAtMs: NOW })
    assert.deepEqual(now, { kind: 'busy', retryAfterMs: 1 })
    assert.equal(ingress.accept(lane, { ...submission, receivedAtMs: NOW + 1 }).kind, 'taken')
  })
})

describe('a message of many readings without times', () => {
  const readings = (count: number) => `[${'{"a":1},'.repeat(count - 1)}{"a":2}]`
  beforeEach(() => {
    ingress = gateFor(500_000)
  })

  it('that is full of empty ones uses a stamp for each value only', () => {
    for (const empty of [29_500, 43_000]) {
      assert.equal(say('press-7', `[${'{},'.repeat(empty)}{"a":1}]`).kind, 'taken')
    }
    const stamps = [telemetry(0), telemetry(1)].map(({ numbers: [a] }) => [a?.t0, a?.dt])
    assert.deepEqual(stamps, [
      [NOW, [0]],
      [NOW + 1, [0]],
    ])
  })

  it('waits until the last of its stamps is near enough to the clock', () => {
    assert.equal(say('press-7', readings(20_000)).kind, 'taken')
    const held = say('press-7', readings(20_000))
    assert.deepEqual(held, { kind: 'busy', retryAfterMs: 9_999 })
    assert.equal(say('press-7', readings(20_000), NOW + 9_999).kind, 'taken')
    for (const [at, receivedAtMs] of [NOW, NOW + 9_999].entries()) {
      const [a] = telemetry(at).numbers
      assert.ok((a?.t0 ?? 0) + (a?.dt.at(-1) ?? 0) <= receivedAtMs + CLOCK_SKEW_MS_MAX / 2)
    }
    assert.equal(writer.records.length, 2, 'what was held was not taken')
  })

  it('that no wait would help is refused in words', () => {
    assert.equal(say('press-7', readings(30_000)).kind, 'taken')
    const refused = say('press-8', readings(30_001))
    assert.deepEqual(refused.kind === 'taken' && refused.verdict, {
      kind: 'rejected',
      reason: 'payload_shape_invalid',
      detail: '30001 readings without "ts"; a message may have 30000',
    })
  })
})

describe('a refused message', () => {
  const payloads: Readonly<Record<string, Buffer>> = {
    payload_not_json: Buffer.from([0, 1, 2, 0xff, 0xfe]),
    payload_empty: Buffer.alloc(0),
    payload_too_large: Buffer.from(`{"a":"${'x'.repeat(100)}"}`),
    value_not_finite: Buffer.from('{"a":1e400}'),
    clock_skew: Buffer.from(`{"ts":${NOW + 70_000},"values":{"a":1}}`),
  }
  for (const [reason, payload] of Object.entries(payloads)) {
    it(`for ${reason} is recorded byte for byte with its story`, async () => {
      const acceptance = say('press-7', payload)
      const verdict = acceptance.kind === 'taken' ? acceptance.verdict : undefined
      assert.equal(verdict?.kind === 'rejected' && verdict.reason, reason)
      const [letter] = writer.records
      assert.equal(letter?.topic, 'x_telemetry.v1.dlq')
      assert.deepEqual(letter?.record.value, payload)
      assert.equal(letter?.record.key?.toString(), 'acme/press-7')
      const header = (name: string) => letter?.record.headers?.[name]?.toString()
      assert.equal(header(DEAD_LETTER_HEADERS.reason), reason)
      assert.equal(header(DEAD_LETTER_HEADERS.tenant), 'acme')
      assert.equal(header(DEAD_LETTER_HEADERS.device), 'press-7')
      assert.equal(header(DEAD_LETTER_HEADERS.protocol), 'mqtt')
      assert.equal(header(DEAD_LETTER_HEADERS.receivedAt), String(NOW))
      assert.equal(header(DEAD_LETTER_HEADERS.version), '1.2.3')
      tally.flush()
      const { body } = await metrics.expose()
      assert.match(body, new RegExp(`weir_ingress_refused_total\\{.*reason="${reason}".*\\} 1`))
    })
  }

  it('keeps bytes of its own, for the receive buffer will be used again', () => {
    const payload = Buffer.from('not json')
    say('press-7', payload)
    payload.fill(0)
    assert.equal(writer.records[0]?.record.value?.toString(), 'not json')
  })
})

describe('a full log', () => {
  it('makes the gate busy, which takes nothing, until there is room', async () => {
    writer.setFull(true)
    const busy = say('press-7', '{"a":1}')
    assert.equal(busy.kind, 'busy')
    assert.equal(writer.records.length, 0)
    const free = busy.kind === 'busy' ? ingress.whenFree(busy) : undefined
    writer.setFull(false)
    await free
    assert.equal(say('press-7', '{"a":1}').kind, 'taken')
    assert.equal(telemetry(0).recvTs, NOW)
  })
})
