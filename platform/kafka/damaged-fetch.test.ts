/**
 * Answers of a real broker that change on the way: what is not as Kafka stored it is fetched again,
 * and loud when that is no help; what is only older than it might be is no reason for an alarm.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { LogConsumer } from './log.ts'
import {
  type Change,
  type ChangingProxy,
  failPartition,
  flipBit,
  moveBatch,
  startChangingProxy,
  watermarkBeforeBatch,
} from './testing/changing-proxy.ts'
import { openKafka } from './testing/kafka-fixture.ts'
import { Recorder } from './testing/log-contract-bench.ts'

const DRAIN_MS = 5_000
/** What is lost never comes: then the test says so, and its readers end. */
const LIMIT = { timeout: 30_000 }
const OFFSET_OUT_OF_RANGE = 1
const DAMAGE = 'bytes arrived that Kafka did not store'
/** kafkajs drops an answer that comes while its partition is being assigned: at most the first. */
const SEEN_ONCE = 2
const WRITER = { name: 'writer', queuedBytesMax: 64_000_000, lingerMs: 0 }

let proxy: ChangingProxy | undefined
const { log, admin, metrics, kept, topic } = await openKafka(async ([broker = '']) => {
  proxy = await startChangingProxy(broker)
  return [proxy.broker]
})
assert(proxy)
const { change, changed, close } = proxy
const consumers: LogConsumer[] = []
after(async () => {
  await Promise.all(consumers.map((consumer) => consumer.drain(DRAIN_MS)))
  await admin.close()
  await close()
})

type Shape = Readonly<{ perBatch?: number; batches?: number; padding?: number }>

/** A topic of two partitions with marked values, whose offsets the values name. */
async function filled(name: string, shape: Shape = {}): Promise<string> {
  const { perBatch = 1, batches = 6, padding = 200 } = shape
  const full = await topic(name, 2)
  const writer = log.writer(WRITER)
  await writer.start()
  for (let n = 0; n < batches; n++) {
    for (const partition of [0, 1]) {
      const sent: Promise<void>[] = []
      for (let m = 0; m < perBatch; m++) {
        const value = Buffer.from(`${name} ${partition}:${n * perBatch + m} ${'.'.repeat(padding)}`)
        sent.push(writer.append(full, partition, { key: null, value }))
      }
      await Promise.all(sent)
    }
  }
  await writer.drain(DRAIN_MS)
  return full
}

const offsetsOf = ({ seen }: Recorder, partition: number): number[] =>
  seen.filter((record) => record.partition === partition).map(({ offset }) => offset)

const upTo = (end: number): number[] => Array.from({ length: end }, (_, n) => n)

async function reader(full: string, handler: Recorder): Promise<LogConsumer> {
  const consumer = log.consumer({ name: full, group: undefined, topics: [full], handler })
  consumers.push(consumer)
  await consumer.start()
  return consumer
}

/** Reads both partitions to their ends, each value at the offset that it names. */
async function readWhole(full: string, name: string, end: number): Promise<string[]> {
  const handler = new Recorder()
  const consumer = await reader(full, handler)
  await handler.count(2 * end)
  assert.equal(consumer.notReady?.(), undefined)
  await consumer.drain(DRAIN_MS)
  assert.deepEqual([offsetsOf(handler, 0), offsetsOf(handler, 1)], [upTo(end), upTo(end)])
  for (const { value, partition, offset } of handler.seen) {
    assert(value?.startsWith(`${name} ${partition}:${offset} .`), `${offset} is ${value}`)
  }
  return kept.take()
}

/** Reads a topic of which one answer changes, so many times, and tells the errors that it logged. */
async function readChanged(
  name: string,
  made: Readonly<{ mark: string; times: number; change: Change; shape?: Shape }>,
): Promise<string[]> {
  const { perBatch = 1, batches = 6 } = made.shape ?? {}
  const full = await filled(name, made.shape)
  const before = changed()
  change(`${name} ${made.mark} `, made.times, made.change)
  const errors = await readWhole(full, name, perBatch * batches)
  assert(changed() > before)
  change('', 0, () => false)
  return errors
}

test('a bit that flips once on the way costs one more fetch, and no record', LIMIT, async () => {
  const made = { mark: '1:3', times: SEEN_ONCE, change: flipBit }
  assert.deepEqual(new Set(await readChanged('once', made)), new Set([DAMAGE]))
  assert.match((await metrics.expose()).body, /weir_kafka_damaged_fetches_total\{.*\} [12]/)
})

test('bytes that stay bad stop their partition, loudly; the other one goes on', LIMIT, async () => {
  const full = await filled('always')
  const handler = new Recorder()
  change('always 1:3 ', Infinity, flipBit)
  const consumer = await reader(full, handler)
  await handler.until(() => offsetsOf(handler, 0).length === 6)
  await kept.count(7) // Once behind good batches, then five times at once, then it is no accident.
  assert.deepEqual(offsetsOf(handler, 1), [0, 1, 2])
  assert.match(consumer.notReady?.() ?? '', /always\/1@3/)
  const writer = log.writer(WRITER)
  await writer.start()
  await writer.append(full, 0, { key: null, value: Buffer.from('later') })
  await handler.until(() => offsetsOf(handler, 0).length === 7)
  assert.deepEqual(offsetsOf(handler, 1), [0, 1, 2])
  await Promise.all([writer.drain(DRAIN_MS), consumer.drain(DRAIN_MS)])
  assert.deepEqual(new Set(kept.take()), new Set([DAMAGE]))
})

test(
  'a response that reports an older end than that of its batches is no alarm',
  LIMIT,
  async () => {
    const made = { mark: '1:0', times: Infinity, change: watermarkBeforeBatch }
    assert.deepEqual(await readChanged('lagging', made), [])
  },
)

test(
  'a base offset behind the end of the log is an alarm, and nothing of its batch is read',
  LIMIT,
  async () => {
    const full = await filled('beyond')
    const handler = new Recorder()
    change('beyond 1:3 ', Infinity, moveBatch(1_000))
    const consumer = await reader(full, handler)
    await kept.count(7)
    await handler.until(() => offsetsOf(handler, 0).length === 6)
    assert.deepEqual(offsetsOf(handler, 1), [0, 1, 2])
    assert.match(consumer.notReady?.() ?? '', /beyond\/1@3/)
    await consumer.drain(DRAIN_MS)
    assert.deepEqual(new Set(kept.take()), new Set([DAMAGE]))
  },
)

test('a base offset below the one that was asked for loses no record', LIMIT, async () => {
  const made = { mark: '1:0', times: SEEN_ONCE, change: moveBatch(-1) }
  assert.deepEqual(new Set(await readChanged('below', made)), new Set([DAMAGE]))
})

test(
  'a base offset that moves into a hole, or within its batch, loses no record',
  LIMIT,
  async () => {
    const shape = { perBatch: 4, batches: 3 }
    const hole = { mark: '1:5', times: 1, change: moveBatch(4), shape }
    assert.deepEqual(await readChanged('hole', hole), [])
    // The first of what is asked for, and all the same it begins before.
    const within = { mark: '1:1', times: 1, change: moveBatch(-2), shape }
    assert.deepEqual(await readChanged('within', within), [])
  },
)

test(
  'a reader that Kafka says is out of range when it is not goes on where it was',
  LIMIT,
  async () => {
    const shape = { batches: 4, padding: 900_000 }
    const made = { mark: '1:2', times: 1, change: failPartition(OFFSET_OUT_OF_RANGE), shape }
    assert.deepEqual(await readChanged('range', made), [])
  },
)
