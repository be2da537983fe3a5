import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SchemaAnswer, UnknownSchemas } from './unknown-schemas.ts'

const PATIENCE_MS = 120_000
const START_MS = 1_700_000_000_000

type Answer = 'yes' | 'no' | 'down'

/** Time that passes only where the code under test sleeps. */
function world(answer: (elapsedMs: number, schemaId: number) => Answer) {
  let elapsedMs = 0
  const asked: number[] = []
  const schemas = new UnknownSchemas({
    patienceMs: PATIENCE_MS,
    waiting: () => {},
    clock: { nowMs: () => START_MS + elapsedMs, monotonicMs: () => elapsedMs },
    timers: {
      after(delayMs, task) {
        queueMicrotask(() => {
          elapsedMs += delayMs
          task()
        })
        return () => {}
      },
    },
    learn: async (schemaId) => {
      asked.push(schemaId)
      const given = answer(elapsedMs, schemaId)
      if (given === 'down') throw new Error('no registry')
      return given === 'yes'
    },
  })
  return { schemas, asked, elapsedMs: () => elapsedMs, pass: (ms: number) => (elapsedMs += ms) }
}

const never = new AbortController().signal
const question = (schemaId: number, appendMs: number, replayId?: string) => ({
  ...{ schemaId, appendMs, replayId },
})

test('a record that is replayed once its schema is registered does not bounce off the 30 s in which it is unknown', async () => {
  let registered = false
  const { schemas, asked } = world(() => (registered ? 'yes' : 'no'))
  const old = START_MS - PATIENCE_MS
  assert.equal(await schemas.resolve(question(7, old), never), 'unknown')
  assert.equal(await schemas.resolve(question(7, old, 'first'), never), 'unknown')
  assert.equal(await schemas.resolve(question(7, old, 'first'), never), 'unknown')
  assert.equal(asked.length, 2, 'thirty records of one replay cost one question')
  registered = true
  assert.equal(await schemas.resolve(question(7, START_MS + PATIENCE_MS, 'second'), never), 'readable') // prettier-ignore
})

test('an id that is registered a moment later is readable', async () => {
  const { schemas, elapsedMs } = world((ms) => (ms > 7_000 ? 'yes' : 'no'))
  assert.equal(await schemas.resolve(question(7, START_MS), never), 'readable')
  assert.ok(elapsedMs() < 13_000, `${elapsedMs()} ms`)
})

test('an id that nobody registers is unknown after the patience, and at once for 30 s', async () => {
  const { schemas, asked, elapsedMs, pass } = world(() => 'no')
  assert.equal(await schemas.resolve(question(7, START_MS), never), 'unknown')
  assert.ok(elapsedMs() >= PATIENCE_MS && elapsedMs() < PATIENCE_MS + 10_000)
  const questions = asked.length
  assert.ok(questions < 40, `${questions} questions`)
  assert.equal(await schemas.resolve(question(7, START_MS + elapsedMs()), never), 'unknown')
  assert.equal(asked.length, questions)
  pass(31_000)
  assert.equal(await schemas.resolve(question(7, START_MS), never), 'unknown')
  assert.equal(asked.length, questions + 1, 'a record from the backlog costs one question')
})

test('a backlog of nonsense with a thousand ids costs a question each, and no wait', async () => {
  const { schemas, asked, elapsedMs } = world(() => 'no')
  for (let id = 0; id < 1_000; id += 1) {
    assert.equal(await schemas.resolve(question(id, START_MS - PATIENCE_MS), never), 'unknown')
  }
  assert.equal(asked.length, 1_000)
  assert.equal(elapsedMs(), 0)
})

test('a registry that is down for a day dead-letters nothing', async () => {
  const { schemas, elapsedMs } = world((ms) => (ms > 86_400_000 ? 'yes' : 'down'))
  assert.equal(await schemas.resolve(question(7, START_MS - PATIENCE_MS), never), 'readable')
  assert.ok(elapsedMs() > 86_400_000)
})

test('a partition that goes away ends the wait', async () => {
  const stop = new AbortController()
  const { schemas } = world((ms) => {
    if (ms > 1_000) stop.abort()
    return 'down'
  })
  const answer: SchemaAnswer = await schemas.resolve(question(7, START_MS), stop.signal)
  assert.equal(answer, 'stopped')
})
