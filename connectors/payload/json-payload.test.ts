/** Every rule of json-payload.ts: what is taken, as which series, and what is refused, as what. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DeadLetterReason } from '../../schemas/dead-letter.ts'
import {
  JSON_DEPTH_MAX,
  METRIC_CHARS_MAX,
  STRING_VALUE_CHARS_MAX,
  TIME_MS_MAX,
  decodeJson,
} from './json-payload.ts'

const NOW = 1_767_225_600_000
const decode = (text: string | Buffer) => decodeJson(Buffer.from(text), NOW + 3)

function taken(text: string) {
  const decoded = decode(text)
  assert.equal(decoded.kind, 'decoded', `${text}: ${JSON.stringify(decoded)}`)
  return decoded
}

describe('a payload', () => {
  it('of plain metrics is stamped when received, its kinds kept apart', () => {
    const { series, stampsUsed } = taken('{"temperature":21.5,"open":true,"mode":"eco"}')
    const at = { t0: NOW + 3, dt: [0] }
    assert.deepEqual(series, {
      numbers: [{ metric: 'temperature', ...at, v: [21.5] }],
      booleans: [{ metric: 'open', ...at, v: [true] }],
      strings: [{ metric: 'mode', ...at, v: ['eco'] }],
    })
    assert.equal(stampsUsed, 1)
  })

  it('with a time keeps it and uses no stamp', () => {
    const { series, stampsUsed } = taken('{"ts":1700000000000,"values":{"a":1}}')
    assert.deepEqual(series.numbers, [{ metric: 'a', t0: 1_700_000_000_000, dt: [0], v: [1] }])
    assert.equal(stampsUsed, 0)
  })

  it('in an envelope without a time is stamped', () => {
    assert.equal(taken('{"values":{"a":1}}').stampsUsed, 1)
  })

  it('of several readings is grouped by metric, counted from the earliest', () => {
    const { series, stampsUsed } = taken(
      '[{"ts":2000,"values":{"a":1,"b":true}},{"ts":1000,"values":{"a":2}}]',
    )
    assert.deepEqual(series.numbers, [{ metric: 'a', t0: 1000, dt: [1000, 0], v: [1, 2] }])
    assert.deepEqual(series.booleans, [{ metric: 'b', t0: 1000, dt: [1000], v: [true] }])
    assert.equal(stampsUsed, 0)
  })

  it('of several readings without times gives each a stamp of its own', () => {
    const { series, stampsUsed } = taken('[{"a":1},{"a":2},{"a":3}]')
    assert.deepEqual(series.numbers, [{ metric: 'a', t0: NOW + 3, dt: [0, 1, 2], v: [1, 2, 3] }])
    assert.equal(stampsUsed, 3)
  })

  it('may mix readings with and without a time', () => {
    const { series } = taken(`[{"a":1},{"ts":${NOW},"values":{"a":2}}]`)
    assert.deepEqual(series.numbers, [{ metric: 'a', t0: NOW, dt: [3, 0], v: [1, 2] }])
  })

  it('may name metrics like the things of a language', () => {
    const { series } = taken('{"__proto__":1,"constructor":2,"toString":3}')
    assert.deepEqual(
      series.numbers.map(({ metric }) => metric),
      ['__proto__', 'constructor', 'toString'],
    )
    assert.equal(Object.prototype.hasOwnProperty.call({}, 'polluted'), false)
  })

  it('may use any letters, and ts and values inside values', () => {
    const { series } = taken('{"values":{"Öl °C":1,"ts":2,"values":3}}')
    assert.deepEqual(
      series.numbers.map(({ metric }) => metric),
      ['Öl °C', 'ts', 'values'],
    )
  })

  it('may be as early as 1970 and up to 2100, believed or not', () => {
    assert.equal(taken('{"ts":0,"values":{"a":1}}').newestMs, 0)
    assert.equal(taken(`{"ts":${TIME_MS_MAX - 1},"values":{"a":1}}`).newestMs, TIME_MS_MAX - 1)
  })

  it('says the newest time that the device gave, not the stamps', () => {
    assert.equal(taken('{"a":1}').newestMs, undefined)
    assert.equal(taken('[{"a":1},{"ts":7,"values":{"a":1}}]').newestMs, 7)
    const [older, newer] = ['{"ts":7,"values":{"a":1}}', '{"ts":9,"values":{"a":1}}']
    assert.equal(taken(`[${older},${newer},${older}]`).newestMs, 9)
  })

  it('with a number beside its values says it', () => {
    assert.equal(taken('{"ts":1,"seq":17,"values":{"a":1}}').seq, 17)
    assert.equal(taken('{"seq":0,"values":{"a":1}}').seq, 0)
    const largest = 2 ** 52 - 1
    assert.equal(taken(`{"values":{"a":1},"seq":${largest},"ts":1}`).seq, largest)
    assert.equal(taken('{"ts":1,"values":{"a":1}}').seq, null)
  })

  it('without values beside "seq" has a metric of that name', () => {
    for (const text of ['{"temperature":1,"seq":5}', '{"values":{"temperature":1,"seq":5}}']) {
      const { series, seq } = taken(text)
      assert.deepEqual(
        series.numbers.map(({ metric, v }) => [metric, v[0]]),
        [
          ['temperature', 1],
          ['seq', 5],
        ],
      )
      assert.equal(seq, null)
    }
  })

  it('may hold quotes, colons and brackets inside strings', () => {
    taken(String.raw`{"a":"\":{[:\\","b":"::::"}`)
  })
})

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const REFUSED: readonly (readonly [string, string | Buffer, DeadLetterReason])[] = [
  ['no bytes', '', 'payload_empty'],
  ['an empty object', '{}', 'payload_empty'],
  ['an empty array', '[]', 'payload_empty'],
  ['empty values', '{"ts":1,"values":{}}', 'payload_empty'],
  ['readings without values', '[{},{}]', 'payload_empty'],
  ['text', 'temperature=21.5', 'payload_not_json'],
  ['white space', ' \n', 'payload_not_json'],
  ['half an object', '{"a":1', 'payload_not_json'],
  ['two documents', '{"a":1}{"a":2}', 'payload_not_json'],
  ['NaN', '{"a":NaN}', 'payload_not_json'],
  ['Infinity', '{"a":-Infinity}', 'payload_not_json'],
  ['single quotes', "{'a':1}", 'payload_not_json'],
  ['a trailing comma', '{"a":1,}', 'payload_not_json'],
  ['a comment', '{"a":1/**/}', 'payload_not_json'],
  ['a byte order mark', '\uFEFF{"a":1}', 'payload_not_json'],
  ['bytes that are not UTF-8', Buffer.from('7b2261ff223a317d', 'hex'), 'payload_not_json'],
  ['CBOR', Buffer.from('a16161fb4035800000000000', 'hex'), 'payload_not_json'],
  ['1e400', '{"a":1e400}', 'value_not_finite'],
  ['-1e400 in an array', '[{"a":1},{"a":-1e400}]', 'value_not_finite'],
  ['a number alone', '21.5', 'payload_shape_invalid'],
  ['null alone', 'null', 'payload_shape_invalid'],
  ['a string alone', '"a"', 'payload_shape_invalid'],
  ['numbers in an array', '[1,2]', 'payload_shape_invalid'],
  ['an array in an array', '[[{"a":1}]]', 'payload_shape_invalid'],
  ['null as a value', '{"a":null}', 'payload_shape_invalid'],
  ['an object as a value', '{"a":{"b":1}}', 'payload_shape_invalid'],
  ['an array as a value', '{"a":[1]}', 'payload_shape_invalid'],
  ['a time without values', '{"ts":1700000000000,"a":1}', 'payload_shape_invalid'],
  ['values that are no object', '{"values":3}', 'payload_shape_invalid'],
  ['more beside the values', '{"values":{"a":1},"b":2}', 'payload_shape_invalid'],
  ['a name twice', '{"a":1,"a":2}', 'payload_shape_invalid'],
  ['a name twice, once escaped', String.raw`{"a":1,"\u0061":2}`, 'payload_shape_invalid'],
  ['a time twice', '{"ts":1,"ts":2,"values":{"a":1}}', 'payload_shape_invalid'],
  ['a name twice in an array', '[{"a":1},{"b":1,"b":2}]', 'payload_shape_invalid'],
  ['half a character', String.raw`{"a":"\ud800"}`, 'payload_shape_invalid'],
  ['deep nesting', nested(JSON_DEPTH_MAX + 1), 'payload_too_deep'],
  ['very deep nesting', '{"a":'.repeat(10_000), 'payload_too_deep'],
  ['an empty name', '{"":1}', 'metric_invalid'],
  ['a long name', `{"${'m'.repeat(METRIC_CHARS_MAX + 1)}":1}`, 'metric_invalid'],
  ['a name with a control character', String.raw`{"a\u0000b":1}`, 'metric_invalid'],
  ['a name with a line feed', String.raw`{"a\n":1}`, 'metric_invalid'],
  ['a name with half a character', String.raw`{"\ud800":1}`, 'metric_invalid'],
  ['a long string', `{"a":"${'x'.repeat(STRING_VALUE_CHARS_MAX + 1)}"}`, 'value_too_long'],
  ['a time as text', '{"ts":"2026-01-01","values":{"a":1}}', 'time_invalid'],
  ['a time of null', '{"ts":null,"values":{"a":1}}', 'time_invalid'],
  ['a negative time', '{"ts":-1,"values":{"a":1}}', 'time_invalid'],
  ['a fraction of a millisecond', '{"ts":1.5,"values":{"a":1}}', 'time_invalid'],
  ['a time of 1e400', '{"ts":1e400,"values":{"a":1}}', 'time_invalid'],
  ['a time in 2100', `{"ts":${TIME_MS_MAX},"values":{"a":1}}`, 'time_invalid'],
  ['a time in microseconds', `{"ts":${NOW * 1000},"values":{"a":1}}`, 'time_invalid'],
  ['a negative number', '{"seq":-1,"values":{"a":1}}', 'payload_shape_invalid'],
  ['half a number', '{"seq":0.5,"values":{"a":1}}', 'payload_shape_invalid'],
  [
    'a number that no record holds',
    `{"seq":${2 ** 53 - 1},"values":{"a":1}}`,
    'payload_shape_invalid',
  ],
  ['a number that no reader takes', `{"seq":${2 ** 52},"values":{"a":1}}`, 'payload_shape_invalid'],
  ['a number as text', '{"seq":"5","values":{"a":1}}', 'payload_shape_invalid'],
  ['a number of null', '{"seq":null,"values":{"a":1}}', 'payload_shape_invalid'],
  ['a number in an array', '[{"seq":5,"values":{"a":1}}]', 'payload_shape_invalid'],
  ['a number beside a time alone', '{"ts":1,"seq":5}', 'payload_shape_invalid'],
  ['a number twice', '{"seq":5,"seq":5,"values":{"a":1}}', 'payload_shape_invalid'],
  ['more beside number and values', '{"seq":5,"values":{"a":1},"b":2}', 'payload_shape_invalid'],
  ['one bad time among good', `[{"a":1},{"ts":-1,"values":{"a":1}}]`, 'time_invalid'],
]

describe('refused:', () => {
  for (const [name, payload, reason] of REFUSED) {
    it(`${name} as ${reason}`, () => {
      const decoded = decode(payload)
      assert.equal(decoded.kind === 'refused' ? decoded.reason : decoded.kind, reason)
    })
  }

  for (const payload of ['{"a":{"b":1}}', '[{"a":1},{"a":{"b":1,"c":2}}]']) {
    it(`${payload} for its nested value, not as a name that stands twice`, () => {
      const decoded = decode(payload)
      assert.match(decoded.kind === 'refused' ? decoded.detail : '', /must be a number/)
    })
  }

  it('a depth of the limit is not too deep', () => {
    const decoded = decode(nested(JSON_DEPTH_MAX))
    assert.equal(decoded.kind === 'refused' && decoded.reason, 'payload_shape_invalid')
  })
})

describe('any payload', () => {
  it('of random JSON gets an answer, and what is taken is finite and complete', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        const decoded = decode(text)
        if (decoded.kind === 'refused') return
        for (const { dt, v } of decoded.series.numbers) {
          assert.equal(dt.length, v.length)
          assert.ok(v.every(Number.isFinite) && dt.every((ms) => ms >= 0))
        }
      }),
    )
  })

  it('of random bytes gets an answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decode(Buffer.from(bytes))
      }),
    )
  })

  it('of flat values comes back as it was said', () => {
    const value = fc.oneof(
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.boolean(),
      fc.string(),
    )
    const name = fc.stringMatching(/^[a-zäß_]{1,10}$/).filter((n) => n !== 'ts' && n !== 'values')
    fc.assert(
      fc.property(fc.dictionary(name, value, { minKeys: 1 }), (values) => {
        const { numbers, booleans, strings } = taken(JSON.stringify(values)).series
        const back = [...numbers, ...booleans, ...strings].map(({ metric, v }) => [metric, v[0]])
        const said = JSON.parse(JSON.stringify(values))
        assert.deepEqual(Object.fromEntries(back), { ...said })
      }),
    )
  })
})
