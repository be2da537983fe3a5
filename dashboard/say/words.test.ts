import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csvOf } from './csv.ts'
import {
  ageWords,
  decimalsOf,
  fixed,
  gapWords,
  lengthWords,
  numberWords,
  pulseOf,
  scaleWords,
  shownPulse,
  utcWords,
} from './words.ts'

test('numbers are said as short as they can be compared', () => {
  const said = [0, 21.5, -3.25, 0.1 + 0.2, 1234.567, 1e12, 2e-7, null].map(numberWords)
  assert.deepEqual(said, ['0', '21.5', '−3.25', '0.3', '1234.6', '1.000e+12', '2.000e−7', '–'])
})

test('a column of numbers has its points in one line', () => {
  const values = [1, 2.5, 3.125]
  const decimals = decimalsOf(values)
  assert.deepEqual(
    values.map((value) => fixed(value, decimals)),
    ['1.000', '2.500', '3.125'],
  )
  assert.equal(decimalsOf(['text', true]), 0)
})

test('the labels of an axis stand in one line and differ', () => {
  assert.deepEqual(scaleWords([0.1, 0.2, 0.1 + 0.2]), ['0.1', '0.2', '0.3'])
  assert.deepEqual(scaleWords([40, 42.5, 45]), ['40.0', '42.5', '45.0'])
  assert.deepEqual(scaleWords([-5000.05, 5000.1]), ['−5000.05', '5000.10'])
  assert.deepEqual(scaleWords([0, 5e9]), ['0', '5.000e+9'])
})

test('ages and lengths use the unit a person would', () => {
  const ages = [0, 999, 12_000, 61_000, 7_200_000, 3 * 86_400_000].map(ageWords)
  assert.deepEqual(ages, ['now', 'now', '12 s ago', '1 min ago', '2 h ago', '3 d ago'])
  const lengths = [500, 30_000, 150_000, 3_600_000, 90_000_000].map(lengthWords)
  assert.deepEqual(lengths, ['500 ms', '30 s', '2 min 30 s', '1 h', '1 d 1 h'])
})

test('a device is live, quiet, silent, or was never heard', () => {
  assert.deepEqual([0, 30_000, 900_000, undefined].map(pulseOf), [
    'live',
    'quiet',
    'silent',
    'never',
  ])
})

test('UTC is said for who hovers', () => {
  assert.equal(utcWords(0), '1970-01-01T00:00:00.000Z (UTC)')
})

test('CSV quotes what needs it and never becomes a formula', () => {
  const rows = [
    ['a"b', 1.5, true, null],
    ['=1+1', -2, false, 'x,y'],
  ] as const
  assert.equal(csvOf(['n', 'v'], rows), `n,v\r\n"a""b",1.5,true,\r\n'=1+1,-2,false,"x,y"\r\n`)
})

test('gaps are counted where there are points enough to tell', () => {
  assert.equal(gapWords(20, []), 'no gaps')
  assert.equal(gapWords(20, [420_000]), '1 gap, 7 min missing')
  assert.equal(gapWords(20, [420_000, 30_000]), '2 gaps, 7 min 30 s missing')
  assert.equal(gapWords(1, [420_000]), 'one point: too few to see gaps')
  assert.equal(gapWords(0, [420_000]), '')
})

test('while nothing new can come nobody is called live, and nobody falls silent by it', () => {
  const [stoodMs, now] = [1_000_000, 9_000_000]
  const shown = (at: number | undefined) => shownPulse(at, now, stoodMs)
  assert.deepEqual([stoodMs, stoodMs - 60_000, 1, undefined].map(shown), [
    'was-live',
    'quiet',
    'silent',
    'never',
  ])
  assert.equal(shownPulse(now - 1_000, now, undefined), 'live')
})
