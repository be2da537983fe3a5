/** Bodies from strangers: whatever JSON.parse takes is taken the same, except what is ambiguous. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseStrictJson } from './strict-json.ts'
import { Refusal } from './problem.ts'

const parse = (text: string): unknown => parseStrictJson(Buffer.from(text))

describe('strict JSON', () => {
  it('reads what JSON.parse reads', () => {
    const value = fc.jsonValue({ maxDepth: 6 })
    fc.assert(
      fc.property(value, (one) => {
        const text = JSON.stringify(one)
        assert.deepEqual(parse(text), JSON.parse(text))
      }),
      { numRuns: 300 },
    )
  })

  it('refuses every text that JSON.parse refuses, and never fails otherwise', () => {
    const shards = fc.array(
      fc.constantFrom('{', '}', '[', ']', '"', ':', ',', 'a', '1', '\\', ' ', 'null', '\\u0061'),
    )
    fc.assert(
      fc.property(
        shards.map((parts) => parts.join('')),
        (text) => {
          let expected: unknown
          try {
            expected = JSON.parse(text)
          } catch {
            assert.throws(() => parse(text), Refusal)
            return
          }
          try {
            assert.deepEqual(parse(text), expected)
          } catch (error) {
            assert.ok(error instanceof Refusal && /twice|deeper/.test(error.message), String(error))
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('compares keys within their own object only', () => {
    assert.deepEqual(parse('{"a":{"a":1},"b":[{"a":1},{"a":2}],"c":"a"}'), {
      a: { a: 1 },
      b: [{ a: 1 }, { a: 2 }],
      c: 'a',
    })
    assert.throws(() => parse('{"b":[{"a":1,"a":2}]}'), /"a" is there twice/)
    assert.throws(() => parse('{"a":1,"b":{"c":[]},"a":2}'), /"a" is there twice/)
  })

  it('reads to its depth and no deeper', () => {
    assert.ok(parse(`${'['.repeat(16)}${']'.repeat(16)}`))
    assert.throws(() => parse(`${'['.repeat(17)}${']'.repeat(17)}`), /deeper than 16/)
  })
})
