/** A drain while the log or the registry does not answer: it ends, nothing fails, nothing is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../platform/failure.ts'
import type { Log, LogConsumerHandler } from '../platform/kafka/log.ts'
import { TELEMETRY_SCHEMA } from '../schemas/telemetry.ts'
import {
  BASE_MS,
  FOREIGN_SCHEMA_ID,
  type Outside,
  rollupWorld,
  SERIES,
  unreliable,
} from './testing/rollup-world.ts'

type World = ReturnType<typeof rollupWorld>

/** An outside that answers some questions no more, and what was asked of the process itself. */
function silentOutside() {
  let breakOff: (error: Error) => void = () => {}
  const answer = new Promise<never>((_, reject) => {
    breakOff = reject
  })
  answer.catch(() => undefined)
  const asked: string[] = []
  const handled: Promise<unknown>[] = []
  const silence = (question: string) => (): Promise<never> => {
    asked.push(question)
    return answer
  }
  const noted = (handler: LogConsumerHandler): LogConsumerHandler => {
    const note = <T>(work: Promise<T>): Promise<T> => {
      handled.push(work)
      return work
    }
    return {
      ...handler,
      assigned: (assignment) => note(handler.assigned(assignment)),
      batch: (batch) => note(handler.batch(batch)),
    }
  }
  const logOf = (log: Log): Log => ({
    ...log,
    consumer: (options) => log.consumer({ ...options, handler: noted(options.handler) }),
    admin: () =>
      Object.assign(log.admin(), {
        offsetsAt: silence('offsets'),
        committed: silence('passes'),
      }),
  })
  const outside: Outside = { log: logOf, fetchSchema: silence('schema'), drainMs: 60_000 }
  return { outside, asked, handled, breakOff: () => breakOff(new Failure('unavailable', 'gone')) }
}

const pushFour = ({ push }: World): void => {
  for (let n = 0; n < 4; n += 1) push(BASE_MS + n)
}

type Wait = Readonly<{
  of: string
  question: string
  /** Makes the next process ask. */
  make(world: World): void
  samples: number
  letters: number
}>

const WAITS: readonly Wait[] = [
  {
    of: 'an assignment',
    question: 'offsets',
    make(world) {
      pushFour(world)
      world.commit({ offset: 1, metadata: 'somebody else' })
    },
    samples: 3,
    letters: 0,
  },
  {
    of: 'a batch behind a gap',
    question: 'offsets',
    make(world) {
      pushFour(world)
      world.partition.truncate(2)
    },
    samples: 2,
    letters: 0,
  },
  {
    of: 'a record of an unknown schema',
    question: 'schema',
    make(world) {
      world.push(BASE_MS + 10, BASE_MS, FOREIGN_SCHEMA_ID)
      pushFour(world)
    },
    samples: 5,
    letters: 0,
  },
  {
    of: 'a paused partition',
    question: 'passes',
    make({ partition }) {
      const noise = { timestampMs: BASE_MS, key: null, value: Buffer.from('noise'), headers: {} }
      for (let n = 0; n < 1_500; n += 1) partition.push(noise)
    },
    samples: 0,
    letters: 1_500,
  },
]

for (const { of, question, make, samples, letters } of WAITS) {
  for (const end of ['is never answered', 'fails'] as const) {
    const name = `a drain while the question of ${of} ${end} is a clean one, and the next owner asks again`
    test(name, { timeout: 10_000 }, async () => {
      const world = rollupWorld()
      const { outside, asked, handled, breakOff } = silentOutside()
      make(world)
      const { stop } = await world.start({ ...outside, options: { invalidPercentMax: 20 } })
      await world.until(() => asked.includes(question))
      const stopped = stop()
      if (end === 'fails') breakOff()
      await stopped
      // What was handed to it is neither refused nor left hanging.
      await Promise.all(handled)
      assert(world.position() < world.partition.end)

      const next = await world.start({ fetchSchema: async () => JSON.stringify(TELEMETRY_SCHEMA) })
      await world.settled()
      assert.equal(world.sink.samples(SERIES).length, samples)
      const written = world.topics.partition('telemetry.v1.dlq', 0)
      assert.equal(written.end, letters)
      await next.stop()
    })
  }
}

test('a drain while reading waits for the tables ends as well', { timeout: 10_000 }, async () => {
  const world = rollupWorld()
  for (let n = 0; n < 4_000; n += 1) world.push(BASE_MS + n)
  let refused = 0
  const sink = unreliable(world.sink, () => {
    refused += 1
    return new Failure('unavailable', 'away')
  })
  const options = { flushBytes: 1_000, flushQueuedBytesMax: 150_000 }
  const { stop } = await world.start({ sink, options, drainMs: 60_000 })
  await world.until(() => refused > 1)
  await stop()
  assert.equal(world.position(), -1)
  const next = await world.start()
  await world.settled()
  assert.equal(world.sink.samples(SERIES).length, 4_000)
  await next.stop()
})

test('any number of partitions may wait for the log, without a warning of Node', async () => {
  const partitions = 16
  const world = rollupWorld(partitions)
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  for (let p = 0; p < partitions; p += 1) world.commit({ offset: 0, metadata: 'not ours' }, p)
  const { outside, asked } = silentOutside()
  const { stop } = await world.start(outside)
  await world.until(() => asked.length === partitions)
  await stop()
  await new Promise(setImmediate) // Warnings are told in a turn of their own.
  process.off('warning', note)
  assert.deepEqual(warnings, [])
})
