import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SeriesKind } from '../../schemas/window-update.ts'
import { COLLIDING_METRICS } from '../testing/colliding-metrics.ts'
import { seriesIdAsBigint, seriesIdOf } from './series-id.ts'

const SALT = '00112233445566778899aabbccddeeff'

const idOf = (device: string, metric: string, kind: SeriesKind, salt: string): bigint =>
  seriesIdAsBigint(seriesIdOf({ device, metric, kind }, salt))

test('the id of a name never changes, because it is stored', () => {
  assert.equal(idOf('press-7', 'temperature', 'number', ''), 4162353147601475814n)
  // As sha256sum says of 32:7:11:00112233445566778899aabbccddeeffpress-7temperaturenumber.
  assert.equal(idOf('press-7', 'temperature', 'number', SALT), 10822208000257627337n)
})

for (const salt of ['', SALT]) {
  test(`names that concatenate alike, and kinds of one metric, have different ids, salt ${salt}`, () => {
    const ids = [
      idOf('ab', 'c', 'number', salt),
      idOf('a', 'bc', 'number', salt),
      idOf('', 'abc', 'number', salt),
      idOf('abc', '', 'number', salt),
      idOf('ab', 'c', 'text', salt),
      idOf('ab', 'c', 'boolean', salt),
      idOf('AB', 'c', 'number', salt),
    ]
    assert.equal(new Set(ids).size, ids.length)
  })
}

test('two names that were made to have one id have two under any salt', () => {
  const { device, metrics } = COLLIDING_METRICS
  const idsUnder = (salt: string) =>
    new Set(metrics.map((name) => idOf(device, name, 'number', salt)))
  assert.equal(idsUnder('').size, 1, 'they are no example any more')
  assert.equal(idsUnder('0').size, 2)
  assert.equal(idsUnder(SALT).size, 2)
})

test('who has another salt has other ids', () => {
  const salts = ['', '0', '00', SALT, SALT.toUpperCase()]
  assert.equal(
    new Set(salts.map((salt) => idOf('press-7', 'm', 'number', salt))).size,
    salts.length,
  )
})

test('similar names spread: no collisions, and each half alone collides as chance would have it', () => {
  const [whole, high, low] = [new Set<string>(), new Set<number>(), new Set<number>()]
  const names = 200_000
  const ones = Array.from({ length: 64 }, () => 0)
  for (let i = 0; i < names; i += 1) {
    const device = `device-${Math.floor(i / 4)}`
    const id = seriesIdOf({ device, metric: `m${i % 4}`, kind: 'number' }, '')
    whole.add(`${id.high}:${id.low}`)
    high.add(id.high)
    low.add(id.low)
    for (let bit = 0; bit < 32; bit += 1) {
      ones[bit] = (ones[bit] ?? 0) + ((id.low >>> bit) & 1)
      ones[bit + 32] = (ones[bit + 32] ?? 0) + ((id.high >>> bit) & 1)
    }
  }
  assert.equal(whole.size, names)
  // Chance gives 4.7 collisions among 200,000 values of 32 bits.
  assert.ok(names - high.size < 20, `high: ${names - high.size}`)
  assert.ok(names - low.size < 20, `low: ${names - low.size}`)
  for (const count of ones) assert.ok(Math.abs(count / names - 0.5) < 0.01)
})
