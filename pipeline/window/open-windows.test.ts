import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { baseOf } from './sample-pool.ts'
import { indexOf, OpenWindows } from './open-windows.ts'
import { Series } from './series.ts'

const series = new Series('acme', 'd0', 'm', 'number')

test('windows keep their own samples, sorted, the first of each time, while others grow, close and open', () => {
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.record({ window: fc.nat(5), dt: fc.nat(300), value: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ close: fc.nat(5) }) },
    { weight: 3, arbitrary: fc.record({ fold: fc.nat(5) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 2_000, size: 'max' }), (steps) => {
      const windows = new OpenWindows()
      const open = new Map<number, { slot: number; samples: Map<number, number> }>()
      const at = (n: number) => {
        const known = open.get(n) ?? { slot: windows.open(series, 0, 0, 0, n), samples: new Map() }
        open.set(n, known)
        return known
      }
      for (const each of steps) {
        if ('close' in each) {
          windows.close(at(each.close).slot)
          open.delete(each.close)
        } else if ('fold' in each) windows.fold(at(each.fold).slot)
        else {
          const { slot, samples } = at(each.window)
          assert.equal(
            windows.insert(slot, each.dt, Float64Array.of(each.value), 0),
            !samples.has(each.dt),
          )
          if (!samples.has(each.dt)) samples.set(each.dt, each.value)
        }
      }
      for (const { slot, samples } of open.values()) {
        const [block, i] = [windows.blockOf(slot), indexOf(slot)]
        const from = baseOf(block.samples[i] ?? -1)
        const to = from + (block.count[i] ?? 0)
        const { dts, values } = windows.pool.segmentOf(block.samples[i] ?? -1)
        const sorted = [...samples].sort(([a], [b]) => a - b)
        assert.deepEqual(
          [...dts.subarray(from, to)],
          sorted.map(([dt]) => dt),
        )
        assert.deepEqual(
          [...values.subarray(from, to)],
          sorted.map(([, value]) => value),
        )
      }
    }),
    { numRuns: 60 },
  )
})

test('a sample every millisecond of a minute fits, backwards too', () => {
  const windows = new OpenWindows()
  const slot = windows.open(series, 1, 0, 0, 1)
  for (let dt = 59_999; dt >= 0; dt -= 1)
    assert.ok(windows.insert(slot, dt, Float64Array.of(dt), 0))
  assert.equal(windows.insert(slot, 30_000, Float64Array.of(0), 0), false)
  windows.fold(slot)
  assert.equal(windows.blockOf(slot).numbers[indexOf(slot) * 8], (59_999 * 60_000) / 2)
})
