/**
 * What a million records of 100 bytes cost a consumer that is behind, up to its hand on each value:
 * the fetch, the checksum, and the walk over the records. User and system time of this process
 * alone; the broker's is not in it. Compare runs of one machine only.
 *
 *   WEIR_TEST_STACK=… node .build/x/platform/kafka/kafka-read.bench.js [records] [per batch]    ends with one JSON line
 */
import { testStack } from '../../test/stack.ts'
import { systemClock } from '../clock.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { createKafkaLog } from './kafkajs-log.ts'
import type { Log } from './log.ts'

const PARTITIONS = 8
const VALUE_BYTES = 100
const ROUNDS = 5
const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => quiet,
}
const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function preload(log: Log, topic: string, records: number, perBatch: number): Promise<void> {
  const writer = log.writer({ name: 'bench', queuedBytesMax: 1 << 28, lingerMs: 1 })
  await writer.start()
  const value = Buffer.alloc(VALUE_BYTES, 'v')
  const key = Buffer.from('tenant/device')
  for (let n = 0; n < records; n += PARTITIONS * perBatch) {
    const sent: Promise<void>[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let m = 0; m < perBatch; m++) sent.push(writer.append(topic, partition, { key, value }))
    }
    await Promise.all(sent)
  }
  await writer.drain(10_000)
}

async function readAll(log: Log, topic: string, records: number) {
  let seen = 0
  let bytes = 0
  let done: () => void = () => undefined
  const all = new Promise<void>((resolve) => (done = resolve))
  const consumer = log.consumer({
    name: 'bench',
    group: undefined,
    topics: [topic],
    handler: {
      assigned: async () => 0,
      revoked: () => undefined,
      batch: async (batch) => {
        batch.forEach(({ value }) => {
          seen++
          bytes += value?.[0] ?? 0
        })
        if (seen >= records) done()
      },
    },
  })
  const startedMs = systemClock.monotonicMs()
  const before = process.cpuUsage()
  await consumer.start()
  await all
  const { user, system } = process.cpuUsage(before)
  const tookMs = systemClock.monotonicMs() - startedMs
  await consumer.drain(5_000)
  if (bytes !== seen * 'v'.charCodeAt(0)) throw new Error('not what was written')
  return { perMillion: (user + system) / seen, tookMs }
}

const [records = 1_000_000, perBatch = 1_000] = process.argv.slice(2).map(Number)
const { kafka, namespace } = await testStack()
const log = createKafkaLog({
  brokers: kafka.brokers,
  clientId: 'bench',
  logger: quiet,
  metrics: new Metrics({ role: 'bench', processMetrics: false }),
  clock: systemClock,
})
const admin = log.admin()
const topic = `${namespace}read`
await admin.ensureTopics([
  { name: topic, partitions: PARTITIONS, replicationFactor: 1, config: {} },
])
const whole = Math.ceil(records / (PARTITIONS * perBatch)) * PARTITIONS * perBatch
await preload(log, topic, whole, perBatch)
const rounds: { perMillion: number; tookMs: number }[] = []
for (let round = 0; round < ROUNDS; round++) {
  const { perMillion, tookMs } = await readAll(log, topic, whole)
  rounds.push({ perMillion, tookMs })
  say(`${perMillion.toFixed(2)} CPU-s per million records, ${Math.round(tookMs)} ms`)
}
await admin.close()
const [middle] = rounds.sort((a, b) => a.perMillion - b.perMillion).slice(ROUNDS >> 1)
say(JSON.stringify({ records: whole, cpuSPerMillion: middle?.perMillion, tookMs: middle?.tookMs }))
