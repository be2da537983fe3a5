import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExpectedNews } from './expected-news.ts'

const at = (tsMs: number | null) => [tsMs, { x: 1 }] as const

test('steps forward are expected, older and unstamped samples are not', () => {
  const news = new ExpectedNews()
  news.sent('a', [at(10), at(9), at(11)])
  news.sent('a', [at(11), at(null)])
  news.sent('b', [at(1)])
  assert.deepEqual([news.steps, news.missing, news.devicesBehind], [3, 3, 2])
  assert.equal(news.told('a', 9), false)
  assert.equal(news.told('a', 11), true)
  assert.equal(news.told('a', 11), false, 'told again')
  assert.deepEqual([news.missing, news.devicesBehind], [2, 1])
})

test('a lost newest reading is noticed, and so is that all has come', async () => {
  const news = new ExpectedNews()
  news.sent('a', [at(1)])
  news.sent('a', [at(2)])
  news.told('a', 1)
  await news.complete(1)
  assert.equal(news.devicesBehind, 1)
  const complete = news.complete(60_000)
  news.told('a', 2)
  await complete
  assert.deepEqual([news.missing, news.devicesBehind], [0, 0])
})
