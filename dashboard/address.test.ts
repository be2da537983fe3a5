import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatRoute, keyInHash, parseRoute, type Route } from './address.ts'
import { SPANS } from './series/span.ts'

const plain = { noNullPrototype: true } as const
const span = fc.constantFrom(...SPANS.map(({ name }) => name))
const ms = fc.integer({ min: 0, max: 4_294_967_295_000 })
const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const view = fc.oneof(
  fc.record({ kind: fc.constant('follow' as const), span }, plain),
  fc
    .record({ kind: fc.constant('fixed' as const), fromMs: ms, toMs: ms, span }, plain)
    .filter(({ fromMs, toMs }) => fromMs < toMs),
)
const route: fc.Arbitrary<Route> = fc.oneof(
  fc.record(
    {
      page: fc.constant('fleet' as const),
      query: text,
      cursor: text,
      silentFirst: fc.boolean(),
    },
    plain,
  ),
  fc.record(
    {
      page: fc.constant('device' as const),
      device: text.filter((id) => id !== ''),
      metric: text,
      view,
    },
    plain,
  ),
)

test('a route survives the way through the address, whatever ids and metrics are called', () => {
  fc.assert(fc.property(route, (given) => assert.deepEqual(parseRoute(formatRoute(given)), given)))
})

test('an address that is cut short or made up shows a page and never throws', () => {
  assert.deepEqual(parseRoute('#/devices/%E0%A4%A'), { page: 'unknown', path: '/devices/%E0%A4%A' })
  assert.deepEqual(parseRoute('#/nowhere'), { page: 'unknown', path: '/nowhere' })
  fc.assert(fc.property(fc.string(), (hash) => assert.ok(parseRoute(hash).page)))
})

test('a span that ends before it begins, or an unknown one, falls back to the default', () => {
  for (const search of ['from=5&to=4', 'from=x&to=9', 'span=3w', 'from=1']) {
    const parsed = parseRoute(`#/devices/a?${search}`)
    assert.ok(parsed.page === 'device')
    assert.deepEqual(parsed.view, { kind: 'follow', span: '15m' })
  }
})

test('the key is found only where npm start puts it', () => {
  assert.equal(keyInHash('#key=a%2Bb'), 'a+b')
  assert.equal(keyInHash('#/devices/x?key=1'), undefined)
  assert.equal(keyInHash(''), undefined)
})
