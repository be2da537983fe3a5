import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import type { LogRecord } from '../../platform/kafka/log.ts'
import { MemoryLogServer } from '../../platform/kafka/testing/memory-log-server.ts'
import { createMemoryLog } from '../../platform/kafka/testing/memory-log.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { DEAD_LETTERS, TELEMETRY } from '../../schemas/topics.ts'
import { DeadLetterWriter } from './dead-letter-writer.ts'

const ORIGIN = { topic: TELEMETRY.name, partition: 1 }
const TELEMETRY_BYTES_MAX = Number(TELEMETRY.config['max.message.bytes'])

async function opened() {
  const server = new MemoryLogServer({ clock: systemClock })
  server.createTopic({ name: DEAD_LETTERS.name, partitions: 2, replicationFactor: 1, config: DEAD_LETTERS.config }) // prettier-ignore
  const writer = createMemoryLog({ server, clock: systemClock }).writer({
    name: 'letters',
    queuedBytesMax: 1 << 28,
    lingerMs: 1,
  })
  await writer.start()
  const cut: number[] = []
  const letters = new DeadLetterWriter({
    writer,
    topic: DEAD_LETTERS.name,
    partitions: 2,
    service: 'pipeline',
    version: '1.2.3',
    cut: (_origin, offset) => cut.push(offset),
  })
  const written = (): readonly LogRecord[] => server.partition(DEAD_LETTERS.name, 1).read(0, 100)
  return { letters, written, cut }
}

const recordOf = (value: Buffer | null, headers: Record<string, Buffer> = {}): LogRecord => ({
  offset: 42,
  timestampMs: 1_700_000_000_000,
  key: Buffer.from('acme/press-7'),
  value,
  headers,
})

test('a letter is the record byte for byte, with its story and its original time', async () => {
  const { letters, written } = await opened()
  const headers = { trace: Buffer.from([1, 2, 3]) }
  const record = recordOf(Buffer.from([0, 255, 7]), headers)
  await letters.write(ORIGIN, record, { stage: 'frame', reason: 'frame_invalid', detail: 'bad' })
  const [letter] = written()
  assert.deepEqual(letter?.value, record.value)
  assert.deepEqual(letter?.key, record.key)
  assert.deepEqual(letter?.headers['trace'], headers.trace)
  const h = DEAD_LETTER_HEADERS
  const told = [h.topic, h.partition, h.offset, h.timestamp, h.stage, h.reason, h.error, h.attempts]
  assert.deepEqual(
    told.map((name) => letter?.headers[name]?.toString()),
    [ORIGIN.topic, '1', '42', '1700000000000', 'frame', 'frame_invalid', 'bad', '1'],
  )
})

test('the largest record fits as a letter, whatever its story: a hundred thousand bad samples too', async () => {
  const { letters, written, cut } = await opened()
  // Kafka's overhead of a batch with one record is below a hundred bytes.
  const record = recordOf(Buffer.alloc(TELEMETRY_BYTES_MAX - 100))
  const samples = Array.from({ length: 150_000 }, (_, index) => index)
  const detail = '\u{1F4A5}'.repeat(10_000)
  await letters.write(ORIGIN, record, { stage: 'validate', reason: 'value_not_finite', detail, samples }) // prettier-ignore
  const [letter] = written()
  assert.equal(letter?.value?.length, record.value?.length)
  assert.equal(cut.length, 0)
  const listed: unknown = JSON.parse(letter?.headers[DEAD_LETTER_HEADERS.samples]?.toString() ?? '')
  assert.deepEqual(listed, samples.slice(0, 1000))
})

test('a record that no letter holds is told of by its beginning and its place, and nothing stops', async () => {
  const { letters, written, cut } = await opened()
  const value = Buffer.alloc(20 * 1024 * 1024, 7)
  const record = recordOf(value, { huge: Buffer.alloc(3 * 1024 * 1024) })
  await letters.write(ORIGIN, record, { stage: 'frame', reason: 'frame_invalid', detail: 'bad' })
  const [letter] = written()
  assert.deepEqual(letter?.value, value.subarray(0, 64 * 1024))
  assert.equal(letter?.headers[DEAD_LETTER_HEADERS.valueBytes]?.toString(), String(value.length))
  assert.equal(letter?.headers[DEAD_LETTER_HEADERS.offset]?.toString(), '42')
  assert.equal(letter?.headers['huge'], undefined)
  assert.deepEqual(cut, [42])
})
