import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseParameter } from './route.ts'

test('a parameter that does not match its pattern is refused with an example of one that does', () => {
  const doc = 'Such as 50,95.'
  const spec = { name: 'percentiles', kind: 'text', pattern: '^[\\d,]+$', doc } as const
  assert.equal(parseParameter(spec, '50,95'), '50,95')
  assert.throws(() => parseParameter(spec, 'p50'), /percentiles must match .*\. Such as 50,95\.$/)
})
