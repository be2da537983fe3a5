/** Records that a foreign producer put into a partition that is not their device's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAvroEncoder } from '../schemas/avro-codec.ts'
import { DEAD_LETTER_HEADERS } from '../schemas/dead-letter.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../schemas/telemetry.ts'
import { deviceKey, partitionOf } from '../schemas/topics.ts'
import { emptyRecord } from './testing/fold-log.ts'
import { parseCheckpoint } from './window/checkpoint.ts'
import { BASE_MS, rollupWorld, SERIES } from './testing/rollup-world.ts'

const PARTITIONS = 2
const KEY = Buffer.from(deviceKey('acme', 'd0'))
const HOME = partitionOf(KEY, PARTITIONS)
const COUNT = 20

/** One device's samples, every second one in the partition after its own. */
function alternating() {
  const world = rollupWorld(PARTITIONS)
  const encoder = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, 1)
  for (let n = 0; n < COUNT; n += 1) {
    const record = emptyRecord('d0', BASE_MS + n)
    record.numbers.push({ metric: 'm', t0: BASE_MS + n, dt: [0], v: [n] })
    world.topics
      .partition('telemetry.v1', (HOME + n) % PARTITIONS)
      .push({ timestampMs: BASE_MS + n, key: KEY, value: encoder.encode(record), headers: {} })
  }
  const lettersOf = (partition: number) =>
    world.topics.partition('telemetry.v1.dlq', partition).read(0, 1_000)
  const letters = () => [...lettersOf(0), ...lettersOf(1)]
  return { ...world, letters }
}

test('are dead-lettered, counted and not stored: raw rows and windows say the same', async () => {
  const { start, until, sink, minute, letters } = alternating()
  const process = await start()
  await until(() => minute(BASE_MS)?.aggregate.count === COUNT / 2)
  await until(() => letters().length === COUNT / 2)
  await process.stop()
  assert.equal(sink.samples(SERIES).length, COUNT / 2)
  assert.equal(minute(BASE_MS)?.aggregate.count, COUNT / 2)
  for (const { headers } of letters()) {
    assert.equal(headers[DEAD_LETTER_HEADERS.reason]?.toString(), 'partition_wrong')
    assert.equal(headers[DEAD_LETTER_HEADERS.partition]?.toString(), String(1 - HOME))
  }
  const counted = await process.metric(
    'weir_pipeline_dead_letters_total',
    'reason="partition_wrong"',
  )
  assert.equal(counted, COUNT / 2)
})

test('are refused again by whoever replays them, and told of once', async () => {
  const { start, until, minute, letters, topics } = alternating()
  const first = await start()
  const group = topics.group('rollup')
  const positionOf = (partition: number): number => {
    const at = group.committed('telemetry.v1').get(partition)
    return at === undefined ? -1 : (parseCheckpoint(at.offset, at.metadata)?.position ?? -1)
  }
  await until(() => [0, 1].every((partition) => positionOf(partition) === COUNT / 2))
  await first.stop()
  const next = await start()
  const last = topics.partition('telemetry.v1', HOME)
  const value = last.read(0, 1)[0]?.value ?? null
  last.push({ timestampMs: BASE_MS + COUNT, key: KEY, value, headers: {} })
  await until(() => positionOf(HOME) === COUNT / 2 + 1)
  await next.stop()
  assert.equal(letters().length, COUNT / 2)
  assert.equal(minute(BASE_MS)?.aggregate.count, COUNT / 2)
})
