import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../platform/failure.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import { AwaitedService } from './awaited-service.ts'
import { systemTimers } from './timers.ts'

const DOWN = new Failure('unavailable', 'nobody answers')

/** `answers` in turn, and the last of them again and again. */
function awaiting(answers: readonly (string | Error)[]) {
  const events: string[] = []
  let fail: (error: unknown) => void = () => {}
  const make = (answer: string): Service => {
    events.push(`made of ${answer}`)
    return {
      name: 'inner',
      failure: new Promise<never>((_, reject) => (fail = reject)),
      start: async () => void events.push('started'),
      drain: async () => void events.push('drained'),
    }
  }
  let asked = 0
  const waits: (() => void)[] = []
  const service = new AwaitedService({
    ...{ name: 'outer', make, timers: systemTimers },
    async ask() {
      const answer = answers[Math.min(asked, answers.length - 1)]
      asked += 1
      if (typeof answer === 'string') return answer
      throw answer
    },
    waiting: () => waits.splice(0).forEach((done) => done()),
  })
  const asks = () => new Promise<void>((resolve) => waits.push(resolve))
  return { service, events, asks, failInner: (error: unknown) => fail(error) }
}

test('where the answer is there at once, the service is made of it and started', async () => {
  const { service, events, failInner } = awaiting(['salt'])
  await service.start()
  assert.deepEqual(events, ['made of salt', 'started'])
  assert.equal(service.notReady(), undefined)
  failInner(new Error('broken'))
  await assert.rejects(service.failure, /broken/)
  await service.drain(1_000)
  assert.equal(events.at(-1), 'drained')
})

test('where nobody answers, it is up and not ready, and goes on when there is an answer', async () => {
  const { service, events, asks } = awaiting([DOWN, DOWN, 'salt'])
  await service.start()
  assert.deepEqual(events, [])
  assert.equal(service.notReady(), 'nobody answers')
  await asks()
  while (service.notReady() !== undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual(events, ['made of salt', 'started'])
  await service.drain(1_000)
})

test('who is asked to end meanwhile makes nothing any more', async () => {
  const { service, events } = awaiting([DOWN])
  await service.start()
  await service.drain(60_000)
  assert.deepEqual(events, [])
})

test('an answer that no repetition betters ends it', async () => {
  const never = awaiting([new Failure('internal', 'two salts')])
  await assert.rejects(never.service.start(), /two salts/)
  const later = awaiting([DOWN, new Failure('internal', 'two salts')])
  await later.service.start()
  await assert.rejects(later.service.failure, /two salts/)
})
