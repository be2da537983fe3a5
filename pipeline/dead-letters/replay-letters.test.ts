/** Replaying on a log in memory: what is chosen, what is produced, and what stays where it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { MemoryLogServer } from '../../platform/kafka/testing/memory-log-server.ts'
import { createMemoryLog } from '../../platform/kafka/testing/memory-log.ts'
import { createAvroDecoder, createAvroEncoder } from '../../schemas/avro-codec.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { DAY_MS, type Telemetry, TELEMETRY_SCHEMA, tickRecord } from '../../schemas/telemetry.ts'
import { systemTimers } from '../timers.ts'
import { DeadLetterWriter, type DeadLetterStory } from './dead-letter-writer.ts'
import { LetterIndex } from './letter-index.ts'
import { REPLAY_HEADERS } from './letter.ts'
import { type LetterFilter, rangesOf, scanLetters } from './letter-scan.ts'
import { replayLetters } from './replay-letters.ts'

const KNOWN_ID = 7
const LATER_ID = 8
const ALL: LetterFilter = {
  ...{ reasons: [], stages: [], tenant: '', device: '' },
  ...{ sinceMs: 0, untilMs: Infinity, partition: -1 },
}
const PARTITIONS = 3
const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, KNOWN_ID)
const laterEncoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, LATER_ID)

const story = (reason: DeadLetterStory['reason']): DeadLetterStory => ({
  ...{ stage: 'schema', reason, detail: 'for a reason' },
})

/** A deployment's two topics, and a way to dead-letter a record as the pipeline does. */
async function opened() {
  const server = new MemoryLogServer({ clock: systemClock })
  for (const name of ['t', 't.dlq'])
    server.createTopic({ name, partitions: PARTITIONS, replicationFactor: 1, config: {} })
  const log = createMemoryLog({ server, clock: systemClock })
  const writer = log.writer({ name: 'w', queuedBytesMax: 1 << 24, lingerMs: 1 })
  const letters = new DeadLetterWriter({ writer, topic: 't.dlq', partitions: PARTITIONS, service: 'pipeline', version: '1' }) // prettier-ignore
  let registered = false
  const decoder = createAvroDecoder<Telemetry>({
    schema: TELEMETRY_SCHEMA,
    writers: new Map([[KNOWN_ID, TELEMETRY_SCHEMA]]),
    fetchSchema: async (id) =>
      registered && id === LATER_ID ? JSON.stringify(TELEMETRY_SCHEMA) : undefined,
  })
  let offset = 100
  return {
    ...{ log, server, writer },
    register: () => (registered = true),
    async deadLetter(device: string, value: Buffer, reason: DeadLetterStory['reason']) {
      const record = {
        ...{ offset: offset++, timestampMs: systemClock.nowMs(), value },
        key: Buffer.from(`acme/${device}`),
        headers: { trace: Buffer.from('abc') },
      }
      await letters.write({ topic: 't', partition: 2 }, record, story(reason))
    },
    replay: (
      filter: Partial<LetterFilter> = {},
      options: { dryRun?: boolean; limit?: number } = {},
    ) =>
      replayLetters(
        {
          filter: { ...ALL, ...filter },
          limit: 1e9,
          perSecond: 0,
          dryRun: false,
          replayId: 'r1',
          ...options,
        },
        {
          ...{ log, writer, lettersTopic: 't.dlq', partitions: PARTITIONS },
          judge: { topic: 't', decoder, acceptedAgeMs: 391 * DAY_MS, nowMs: systemClock.nowMs },
          ...{ clock: systemClock, timers: systemTimers, progress: () => {} },
        },
      ),
    produced: () => server.partitions('t').flatMap((partition) => partition.read(0, 1e6)),
    async index() {
      const index = new LetterIndex(ALL)
      await scanLetters(log, 't.dlq', await rangesOf(log, 't.dlq', ALL), index)
      return index.groups().map(({ reason, letters, replayed }) => [reason, letters, replayed])
    },
  }
}

function record(device: string, tsMs: number, value = 1): Telemetry {
  const numbers = [{ metric: 'm', t0: tsMs, dt: [0], v: [value] }]
  return { ...tickRecord(systemClock.nowMs()), tenant: 'acme', device, protocol: 'mqtt', numbers }
}

test('a record comes back whole, under its key, and says that it is a replay', async () => {
  const world = await opened()
  const value = laterEncoder.encode(record('d1', systemClock.nowMs()))
  await world.deadLetter('d1', value, 'schema_unknown')
  world.register()
  assert.deepEqual(await world.replay(), { chosen: 1, replayed: 1, kept: {} })
  const [produced] = world.produced()
  assert.deepEqual(produced?.value, value)
  assert.equal(produced?.key?.toString(), 'acme/d1')
  const headers = Object.entries(produced?.headers ?? {}).map(([name, bytes]) => [
    name,
    bytes.toString(),
  ])
  assert.deepEqual(Object.fromEntries(headers), {
    trace: 'abc',
    [REPLAY_HEADERS.id]: 'r1',
    [REPLAY_HEADERS.origin]: 't/2/100',
    [DEAD_LETTER_HEADERS.replays]: '1',
  })
})

test('what was replayed is remembered, and not replayed again', async () => {
  const world = await opened()
  world.register()
  for (const device of ['d1', 'd2', 'd3'])
    await world.deadLetter(device, laterEncoder.encode(record(device, systemClock.nowMs())), 'schema_unknown') // prettier-ignore
  assert.equal((await world.replay({ device: 'd2' })).replayed, 1)
  assert.deepEqual(await world.index(), [['schema_unknown', 3, 1]])
  assert.deepEqual(await world.replay({}, { limit: 1 }), { chosen: 1, replayed: 1, kept: {} })
  assert.equal((await world.replay()).replayed, 1)
  assert.equal((await world.replay()).chosen, 0)
  assert.equal(world.produced().length, 3)
})

test('what would come straight back stays, and the report says why', async () => {
  const world = await opened()
  const nowMs = systemClock.nowMs()
  await world.deadLetter('d1', laterEncoder.encode(record('d1', nowMs)), 'schema_unknown')
  await world.deadLetter('d2', Buffer.from('rubbish'), 'frame_invalid')
  await world.deadLetter('d3', encoder.encode(record('d3', nowMs, NaN)), 'value_not_finite')
  await world.deadLetter('d4', encoder.encode(record('d4', nowMs + DAY_MS)), 'clock_skew')
  await world.deadLetter('d5', encoder.encode(record('d5', nowMs - 399 * DAY_MS)), 'too_late')
  await world.deadLetter('d6', encoder.encode(record('d6', nowMs)), 'crashed_process')
  const edge = { [DEAD_LETTER_HEADERS.reason]: Buffer.from('payload_not_json') }
  await world.writer.append('t.dlq', 0, { key: Buffer.from('acme/d7'), value: Buffer.from('{'), headers: edge }) // prettier-ignore
  const kept = {
    ...{ schema_still_unknown: 1, still_unreadable: 1 },
    ...{ still_refused: 3, refused_at_edge: 1 },
  }
  assert.deepEqual(await world.replay({}, { dryRun: true }), { chosen: 7, replayed: 1, kept })
  assert.equal(world.produced().length, 0, 'a dry run produces nothing')
  assert.deepEqual(await world.replay(), { chosen: 7, replayed: 1, kept })
  assert.deepEqual(
    world.produced().map(({ key }) => key?.toString()),
    ['acme/d6'],
  )
})

test('filters choose by reason, device and time', async () => {
  const world = await opened()
  const value = encoder.encode(record('d1', systemClock.nowMs()))
  await world.deadLetter('d1', value, 'crashed_process')
  await world.deadLetter('d1', value, 'sink_refused')
  await world.deadLetter('d2', value, 'sink_refused')
  const chosen = async (filter: Partial<LetterFilter>) =>
    (await world.replay(filter, { dryRun: true })).chosen
  assert.equal(await chosen({ reasons: ['sink_refused'] }), 2)
  assert.equal(await chosen({ reasons: ['sink_refused'], device: 'd1' }), 1)
  assert.equal(await chosen({ tenant: 'other' }), 0)
  assert.equal(await chosen({ partition: 0 }), 0)
  assert.equal(await chosen({ partition: 2 }), 3)
  assert.equal(await chosen({ sinceMs: systemClock.nowMs() + 1_000 }), 0)
  assert.equal(await chosen({ untilMs: systemClock.nowMs() - 10_000 }), 0)
})

test('a scan whose range somebody purges while it reads does not hang', async () => {
  const world = await opened()
  const value = encoder.encode(record('d1', systemClock.nowMs()))
  for (let n = 0; n < 5; n += 1) await world.deadLetter('d1', value, 'crashed_process')
  const ranges = await rangesOf(world.log, 't.dlq', ALL)
  const purged = new Map([...ranges].map(([partition, { to }]) => [partition, to]))
  const admin = world.log.admin()
  await admin.deleteRecords('t.dlq', purged)
  await admin.close()
  const index = new LetterIndex(ALL)
  await scanLetters(world.log, 't.dlq', ranges, index)
  assert.deepEqual(index.groups(), [])
})
