import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seriesIdAsBigint, seriesIdOf } from './series-id.ts'

test('the id of a name never changes, because it is stored', () => {
  const id = seriesIdOf('press-7', 'temperature', 'number')
  assert.equal(seriesIdAsBigint(id), PINNED)
})
const PINNED = 4162353147601475814n

test('names that concatenate alike, and kinds of one metric, have different ids', () => {
  const names = [
    seriesIdOf('ab', 'c', 'number'),
    seriesIdOf('a', 'bc', 'number'),
    seriesIdOf('', 'abc', 'number'),
    seriesIdOf('abc', '', 'number'),
    seriesIdOf('ab', 'c', 'text'),
    seriesIdOf('ab', 'c', 'boolean'),
    seriesIdOf('AB', 'c', 'number'),
  ]
  assert.equal(new Set(names.map(seriesIdAsBigint)).size, names.length)
})

test('similar names spread: no collisions, and each half alone collides as chance would have it', () => {
  const [whole, high, low] = [new Set<string>(), new Set<number>(), new Set<number>()]
  const names = 200_000
  const ones = Array.from({ length: 64 }, () => 0)
  for (let i = 0; i < names; i += 1) {
    const id = seriesIdOf(`device-${Math.floor(i / 4)}`, `m${i % 4}`, 'number')
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
