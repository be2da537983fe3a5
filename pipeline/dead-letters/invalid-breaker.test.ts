import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BREAKER_RECORDS_MIN, countsForBreaker, InvalidBreaker } from './invalid-breaker.ts'

const LIMITS = { invalidPercentMax: 20, recordsMin: BREAKER_RECORDS_MIN }

/** Takes records until one is refused; answers how many of each kind were let through. */
function drive(breaker: InvalidBreaker, isInvalid: (n: number) => boolean, records: number) {
  let invalid = 0
  for (let n = 0; n < records; n += 1) {
    if (!isInvalid(n)) breaker.passed(1)
    else if (breaker.refuses()) return { passed: n, invalid, refused: true }
    else invalid += 1
  }
  return { passed: records, invalid, refused: false }
}

test('nothing is judged before a thousand records, and then a flood stops at once', () => {
  const flood = drive(new InvalidBreaker(LIMITS), () => true, 100_000)
  assert.deepEqual(flood, { passed: 999, invalid: 999, refused: true })
})

test('a share at the limit goes on for ever, one above it stops', () => {
  const atLimit = drive(new InvalidBreaker(LIMITS), (n) => n % 5 === 4, 200_000)
  assert.equal(atLimit.refused, false)
  const above = drive(new InvalidBreaker(LIMITS), (n) => n % 4 === 3, 200_000)
  assert.equal(above.refused, true)
  assert.ok(above.passed < 1_100, `${above.passed} records`)
})

test('a long good time hides no flood: it is over after some hundred letters', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (good) => {
      const breaker = new InvalidBreaker(LIMITS)
      breaker.passed(good)
      const { invalid, refused } = drive(breaker, () => true, 100_000)
      assert.ok(refused && invalid <= 1_000, `${invalid} letters after ${good} good records`)
    }),
  )
})

test('asking again about the refused record changes nothing, and a reset begins anew', () => {
  const breaker = new InvalidBreaker(LIMITS)
  drive(breaker, () => true, 100_000)
  for (let n = 0; n < 5_000; n += 1) assert.equal(breaker.refuses(), true)
  breaker.reset()
  assert.equal(drive(breaker, () => true, 100_000).invalid, 999)
})

test('a hundred percent switches it off', () => {
  const breaker = new InvalidBreaker({ ...LIMITS, invalidPercentMax: 100 })
  assert.equal(drive(breaker, () => true, 50_000).refused, false)
})

test('what devices do wrong with their samples does not count', () => {
  const counted = (['frame', 'schema', 'decode', 'validate', 'semantic'] as const).filter(
    countsForBreaker,
  )
  assert.deepEqual(counted, ['frame', 'schema', 'decode'])
})
