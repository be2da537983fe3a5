import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SamplePool } from './sample-pool.ts'

const SEGMENT_BYTES = 655_360

test('blocks never overlap, and what was given back serves larger ones', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 2, max: 14 }), fc.nat()), {
    maxLength: 400,
    size: 'max',
  })
  fc.assert(
    fc.property(steps, (steps) => {
      const pool = new SamplePool()
      const taken: [number, number][] = []
      for (const [takes, bits, which] of steps) {
        const given = takes ? undefined : taken.splice(which % Math.max(1, taken.length), 1)[0]
        if (given !== undefined) pool.give(...given)
        else taken.push([pool.take(bits), bits])
      }
      const sorted = taken.toSorted(([a], [b]) => a - b)
      for (const [n, [block, bits]] of sorted.entries()) {
        assert.equal(block % (1 << bits), 0)
        assert.ok(block + (1 << bits) <= (sorted[n + 1]?.[0] ?? Infinity))
      }
      for (const each of taken) pool.give(...each)
      const before = pool.bytes
      for (let n = 0; n < before / SEGMENT_BYTES; n += 1) pool.take(16)
      assert.equal(pool.bytes, before, 'all that is free joins to whole segments')
    }),
  )
})
