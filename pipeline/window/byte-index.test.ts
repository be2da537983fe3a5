import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteIndex } from './byte-index.ts'

test('names keep the numbers they were given, however many there are', () => {
  const name = fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 400 }))
  fc.assert(
    fc.property(fc.array(name, { maxLength: 300, size: 'max' }), (names) => {
      const index = new ByteIndex()
      const expected = new Map<string, number>()
      for (const bytes of names) {
        // Somewhere inside of other bytes, as names in records are.
        const around = Buffer.concat([Buffer.from([1, 2]), bytes, Buffer.from([3])])
        const [from, to] = [2, 2 + bytes.length]
        const key = Buffer.from(bytes).toString('hex')
        const known = expected.get(key) ?? -1
        assert.equal(index.find(around, from, to), known)
        if (known < 0) expected.set(key, index.add(around, from, to))
      }
      assert.equal(index.size, expected.size)
      assert.deepEqual(
        [...expected.values()],
        Array.from(expected.keys(), (_, n) => n),
      )
      for (const [key, number] of expected) assert.equal(index.keyOf(number).toString('hex'), key)
    }),
  )
})
