/** Devices with wrong clocks, through the gate: what is refused, and what is moved by how much. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import type { ClockPolicy } from '../devices/device.ts'
import { Metrics } from '../platform/observe/metrics.ts'
import { CLOCK_SKEW_MS_MAX, DAY_MS, type Telemetry } from '../schemas/telemetry.ts'
import { type DeviceLane, DeviceLanes, ORDINARY } from './device-lanes.ts'
import { Ingress, type Submission } from './ingress.ts'
import { TIME_MS_MAX } from './payload/json-payload.ts'
import { Tally } from './tally.ts'
import { HoldingWriter } from './testing/holding-writer.ts'

const NOW = 1_767_225_600_000
const ACCEPTED_AGE_MS = 30 * DAY_MS

let writer: HoldingWriter
let tally: Tally
let lanes: DeviceLanes
let ingress: Ingress
beforeEach(() => {
  writer = new HoldingWriter({ storesAtOnce: true })
  tally = new Tally(new Metrics({ role: 'test', processMetrics: false }))
  lanes = new DeviceLanes(8)
  ingress = new Ingress({
    writer,
    lanes,
    tally,
    topicPrefix: '',
    payloadBytesMax: 10_000,
    acceptedAgeMs: ACCEPTED_AGE_MS,
    encode: (telemetry) => Buffer.from(JSON.stringify(telemetry)),
    deadLetterSource: { service: 'connectors', version: '1' },
    deadLetterPartitions: 3,
    quarantinePartitions: 3,
    refusals: { refused: () => undefined },
  })
})

const restamped = (): number => tally.cell('weir_ingress_restamped_total').count
const by = (clockPolicy: ClockPolicy) => ({ ...ORDINARY, clockPolicy })
const open = (policy: ClockPolicy): DeviceLane => ingress.openLane('acme', 'press-7', by(policy))
const readingAt = (ts: number) => ({ ts, values: { a: 1, open: true, mode: 'eco' } })

function say(lane: DeviceLane, message: unknown, over: Partial<Submission> = {}) {
  const payload = Buffer.from(JSON.stringify(message))
  const acceptance = ingress.accept(lane, {
    protocol: 'mqtt',
    payload,
    receivedAtMs: NOW,
    ...over,
  })
  assert.equal(acceptance.kind, 'taken')
  const { verdict } = acceptance
  if (verdict.kind === 'rejected') return { reason: verdict.reason, acceptance }
  // Encoded as JSON by the options above.
  const telemetry = JSON.parse(String(writer.records.at(-1)?.record.value)) as Telemetry
  return { telemetry, acceptance }
}

/** Every time in a record, with what the edge did to it. */
function timesOf(telemetry: Telemetry | undefined) {
  assert.ok(telemetry !== undefined)
  const { numbers, booleans, strings, shiftMs } = telemetry
  const times = [...numbers, ...booleans, ...strings].flatMap(({ t0, dt }) =>
    dt.map((ms) => t0 + ms),
  )
  return { times, shiftMs: shiftMs ?? 0 }
}

describe('a message from the future', () => {
  it('is refused as clock_skew under reject, from the first millisecond beyond', () => {
    const lane = open('reject')
    const { telemetry } = say(lane, readingAt(NOW + CLOCK_SKEW_MS_MAX))
    assert.deepEqual(timesOf(telemetry).times[0], NOW + CLOCK_SKEW_MS_MAX)
    assert.equal(say(lane, readingAt(NOW + CLOCK_SKEW_MS_MAX + 1)).reason, 'clock_skew')
  })

  it('is moved as a whole to its receive time under restamp, and counted', () => {
    const message = [readingAt(NOW + DAY_MS - 500), readingAt(NOW + DAY_MS)]
    const { telemetry } = say(open('restamp'), message)
    const { times, shiftMs } = timesOf(telemetry)
    assert.equal(shiftMs, DAY_MS)
    assert.deepEqual(times, [NOW - 500, NOW, NOW - 500, NOW, NOW - 500, NOW])
    assert.equal(telemetry?.stamped, true)
    assert.equal(restamped(), 1)
  })

  it('that mixes readings with and without times is refused under either policy', () => {
    for (const policy of ['reject', 'restamp'] as const) {
      assert.equal(say(open(policy), [readingAt(NOW + DAY_MS), { a: 1 }]).reason, 'clock_skew')
    }
    assert.equal(restamped(), 0)
  })
})

describe('readings without values', () => {
  it('say nothing about the clock of the others, whatever time they carry', () => {
    for (const ts of [0, TIME_MS_MAX - 1]) {
      const { telemetry } = say(open('restamp'), [{ ts, values: {} }, readingAt(NOW - 500)])
      assert.deepEqual(timesOf(telemetry), { times: [NOW - 500, NOW - 500, NOW - 500], shiftMs: 0 })
      assert.equal(say(open('reject'), [{ ts, values: {} }, readingAt(NOW)]).reason, undefined)
    }
  })

  it('are no second clock: the message is moved as if they were not there', () => {
    const { telemetry } = say(open('restamp'), [{}, readingAt(NOW + 5 * DAY_MS)])
    assert.deepEqual(timesOf(telemetry), { times: [NOW, NOW, NOW], shiftMs: 5 * DAY_MS })
    assert.equal(telemetry?.stamped, true)
  })
})

describe('a message from the past', () => {
  it('that is too old to be accepted is moved under restamp, by a negative shift', () => {
    const { telemetry } = say(open('restamp'), readingAt(1000))
    assert.deepEqual(timesOf(telemetry), { times: [NOW, NOW, NOW], shiftMs: 1000 - NOW })
  })

  it('that is too old is left to the pipeline under reject', () => {
    const { telemetry } = say(open('reject'), readingAt(1000))
    assert.deepEqual(timesOf(telemetry), { times: [1000, 1000, 1000], shiftMs: 0 })
  })

  it('that is late, but not too late, keeps its times', () => {
    const { telemetry } = say(open('restamp'), readingAt(NOW - ACCEPTED_AGE_MS))
    assert.equal(timesOf(telemetry).shiftMs, 0)
    assert.equal(restamped(), 0)
  })
})

describe('restamped messages', () => {
  it('keep their spacing, and say what the device said, whatever its clock', () => {
    const time = fc.integer({ min: 0, max: TIME_MS_MAX - 1 })
    fc.assert(
      fc.property(fc.array(time, { minLength: 1, maxLength: 9 }), (sent) => {
        const { telemetry } = say(open('restamp'), sent.map(readingAt))
        const { times, shiftMs } = timesOf(telemetry)
        const said = [...sent, ...sent, ...sent]
        assert.deepEqual(
          times.map((ms) => ms + shiftMs),
          said,
        )
        const newest = Math.max(...times)
        const stamp = telemetry?.recvTs ?? 0
        if (shiftMs !== 0) assert.equal(newest, stamp)
        else assert.ok(newest <= stamp + CLOCK_SKEW_MS_MAX && newest >= stamp - ACCEPTED_AGE_MS)
      }),
    )
  })

  it('of one millisecond get stamps of their own, and stay several samples', () => {
    const lane = open('restamp')
    const moved = [1, 2, 3].map(() => timesOf(say(lane, readingAt(NOW + DAY_MS)).telemetry))
    assert.deepEqual(
      moved.map(({ times }) => times[0]),
      [NOW, NOW + 1, NOW + 2],
    )
  })

  it('that come again are moved as far as the first time, though they are less ahead then', () => {
    const lane = open('restamp')
    const message = readingAt(NOW + CLOCK_SKEW_MS_MAX + 1)
    const first = say(lane, message)
    assert.equal(first.acceptance.kind, 'taken')
    const stampMs = first.acceptance.stampMs
    const again = say(lane, message, { receivedAtMs: NOW + 5000, stampMs })
    assert.deepEqual(timesOf(again.telemetry), timesOf(first.telemetry))
  })
})

describe('the policy of a connected device', () => {
  it('changes for the messages after it, and for that device alone', () => {
    const lane = open('reject')
    const neighbour = ingress.openLane('acme', 'press-8', by('reject'))
    lanes.setRules('acme', 'press-7', by('restamp'))
    assert.equal(say(lane, readingAt(NOW + DAY_MS)).reason, undefined)
    assert.equal(say(neighbour, readingAt(NOW + DAY_MS)).reason, 'clock_skew')
    lanes.setRules('acme', 'press-7', by('reject'))
    assert.equal(say(lane, readingAt(NOW + DAY_MS)).reason, 'clock_skew')
  })

  it('of a device that is not connected is nothing to the lanes', () => {
    lanes.setRules('acme', 'absent', by('restamp'))
    assert.equal(ingress.openLane('acme', 'absent').clockPolicy, 'reject')
  })
})

it('the number of a message reaches its record', () => {
  const { telemetry } = say(open('reject'), { seq: 17, ...readingAt(NOW) })
  assert.equal(telemetry?.seq, 17)
})
