/**
 * One send per partition: while leaders move, the log takes a partition's records in the order of
 * their calls, and what is acknowledged is there. With two sends under way at once it does not.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { PartitionedWriter, type SendOutcome } from '../../platform/kafka/partitioned-writer.ts'
import type * as writers from '../../platform/kafka/partitioned-writer.ts'
import { forEachRecord } from '../../platform/kafka/record-batch-reader.ts'
import { rawBatchOf } from '../../platform/kafka/split-records.ts'
import { editedModule, forgetCopies } from './modules.ts'
import { Random } from './random.ts'

const PARTITIONS = 3
const RECORDS = 60
const ROUNDS = 40

type Sent = Readonly<{ partition: number; values: readonly number[]; resolve: () => void }>

/** Brokers that answer in any order; those that lead no more refuse, and the request comes again. */
class MovingCluster {
  readonly logs: number[][] = Array.from({ length: PARTITIONS }, () => [])
  readonly #random: Random
  #waiting: Sent[] = []

  constructor(random: Random) {
    this.#random = random
  }

  readonly send: writers.BatchSender = (_topic, records) => {
    const values: number[] = []
    forEachRecord(rawBatchOf(records), 0, ({ value }) => values.push(Number(value)))
    const { partition } = records
    return new Promise<SendOutcome>((resolve) => {
      this.#waiting.push({ partition, values, resolve: () => resolve({ kind: 'stored' }) })
    })
  }

  /** One request reaches a broker. */
  turn(): void {
    const at = this.#random.below(this.#waiting.length)
    const request = this.#waiting[at]
    if (request === undefined || this.#random.chance(0.3)) return // The leader has moved.
    this.#waiting = this.#waiting.filter((_, index) => index !== at)
    this.logs[request.partition]?.push(...request.values)
    request.resolve()
  }

  get busy(): boolean {
    return this.#waiting.length > 0
  }
}

/** Gives what is wrong, if anything. */
async function ordered(
  Writer: typeof PartitionedWriter,
  seed: number,
): Promise<string | undefined> {
  const random = new Random(seed)
  const cluster = new MovingCluster(random)
  const settings = { clock: systemClock, queuedBytesMax: 1 << 20, lingerMs: 0 }
  const writer = new Writer({ ...settings, send: cluster.send })
  const called: number[][] = Array.from({ length: PARTITIONS }, () => [])
  const stored: Promise<void>[] = []
  for (let n = 0; n < RECORDS; n += 1) {
    const partition = random.below(PARTITIONS)
    called[partition]?.push(n)
    const value = Buffer.from(String(n))
    const acknowledged = writer.append('t', partition, { key: Buffer.from('k'), value })
    stored.push(
      acknowledged.then(() => {
        if (cluster.logs[partition]?.includes(n) !== true) throw new Error(`${n} is not stored`)
      }),
    )
    if (random.chance(0.4)) await new Promise((resolve) => setImmediate(resolve))
    if (random.chance(0.5)) cluster.turn()
  }
  writer.close()
  const all = Promise.all(stored)
  const end = { reached: false }
  void writer.idle().then(() => (end.reached = true))
  while (!end.reached || cluster.busy) {
    cluster.turn()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await all
  const wrong = called.findIndex((values, p) => values.join() !== cluster.logs[p]?.join())
  return wrong < 0 ? undefined : `partition ${wrong}: ${cluster.logs[wrong]?.join()}`
}

after(() => forgetCopies())

test('a partition takes its records in the order of their calls while leaders move', async () => {
  const from = randomInt(2 ** 31)
  for (let seed = from; seed < from + ROUNDS; seed += 1) {
    assert.equal(await ordered(PartitionedWriter, seed), undefined, `seed ${seed}`)
  }
})

test('missed when taken away: one send per partition', async () => {
  const file = 'platform/kafka/partitioned-writer.js'
  const address = editedModule(file, [
    { file, from: 'if (!lane.sending && !lane.scheduled)', to: 'if (!lane.scheduled)' },
    { file, from: 'if (!lane.sending)\n', to: 'if (true)\n' },
  ])
  // The same module but for the edits, so it has the same shape.
  const { PartitionedWriter: Hasty } = (await import(address)) as typeof writers
  let missed = 0
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    if ((await ordered(Hasty, seed)) !== undefined) missed += 1
  }
  assert.ok(missed > 0, `${ROUNDS} rounds hold without the rule`)
})
