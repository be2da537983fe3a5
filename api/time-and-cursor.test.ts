/** Times as clients write them, and cursors as they give them back. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { LIMITS } from './limits.ts'
import { Refusal } from './problem.ts'
import { parseTimeMs } from './time-parameter.ts'

describe('a time', () => {
  it('is the same as integer and as RFC 3339', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: LIMITS.timeMsMax }), (ms) => {
        assert.equal(parseTimeMs('t', String(ms)), ms)
        assert.equal(parseTimeMs('t', new Date(ms).toISOString()), ms)
      }),
    )
  })

  it('takes offsets and fractions', () => {
    assert.equal(parseTimeMs('t', '1970-01-01T01:30:00+01:30'), 0)
    assert.equal(parseTimeMs('t', '1969-12-31t23:00:00-01:00'), 0)
    assert.equal(parseTimeMs('t', '1970-01-01 00:00:00.123456z'), 123)
    assert.equal(parseTimeMs('t', '2024-02-29T00:00:00Z'), Date.UTC(2024, 1, 29))
  })

  const bad = [
    '',
    ' 1',
    '1 ',
    '01',
    '-1',
    '+1',
    '1.0',
    '0x10',
    '1e3',
    'now',
    '2023-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+24:00',
    '1969-12-31T23:59:59Z',
    '9'.repeat(16),
  ]
  for (const text of bad) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseTimeMs('from', text),
        (error) => error instanceof Refusal && error.field === 'from',
      )
    })
  }
})

describe('a cursor', () => {
  it('gives back its position to the question that made it, and to no other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        fc.string(),
        fc.maxSafeInteger(),
        (question, text, number) => {
          const cursor = encodeCursor(question, [text, number])
          assert.deepEqual(decodeCursor(question, cursor, ['string', 'number']), [text, number])
          assert.throws(
            () => decodeCursor([...question, 'more'], cursor, ['string', 'number']),
            Refusal,
          )
          assert.throws(() => decodeCursor(question, cursor, ['number', 'string']), Refusal)
        },
      ),
    )
  })

  it('that is anything else is refused', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.throws(() => decodeCursor(['q'], text, ['string']), Refusal)
      }),
    )
  })
})
