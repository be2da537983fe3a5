import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NO_DIGITS, steadyWords, withValue } from './digits.ts'

/** What is on screen while the values come in, one after the other. */
function shown(values: readonly (number | string | boolean)[]): string[] {
  let digits = NO_DIGITS
  return values.map((value) => {
    digits = withValue(digits, value)
    return steadyWords(value, digits)
  })
}

test('a series that once had a decimal keeps it', () => {
  assert.deepEqual(shown([57.8, 57, 57.25, 57, -3]), ['57.8', '57.0', '57.25', '57.00', '−3.00'])
})

test('no series has more digits than an eye compares', () => {
  assert.deepEqual(shown([0.1 + 0.2, 99.12345, 1234.567, 5]), ['0.300', '99.123', '1234.6', '5.0'])
  assert.deepEqual(shown([0.012345678, 2e-7, 0]), ['0.012346', '0.000000', '0.000000'])
})

test('counters, text and the very large or small are said as before', () => {
  assert.deepEqual(shown([3, 4, 500_000]), ['3', '4', '500000'])
  assert.deepEqual(shown(['auto', true]), ['auto', 'true'])
  assert.deepEqual(shown([1e12, 2e-7]), ['1.000e+12', '2.000e−7'])
  assert.deepEqual(shown([2e-7, 0]), ['2.000e−7', '0'])
})

test('once all values of a series were seen, its texts never change in decimals again', () => {
  const value = fc.double({ min: -1e8, max: 1e8, noNaN: true })
  fc.assert(
    fc.property(fc.array(value, { minLength: 1 }), (values) => {
      const digits = values.reduce(withValue, NO_DIGITS)
      fc.pre(digits.size >= 1e-4)
      const places = values.map((one) => (steadyWords(one, digits).split('.')[1] ?? '').length)
      assert.equal(new Set(places).size, 1)
      assert.equal(withValue(digits, values[0] ?? 0), digits)
    }),
  )
})
