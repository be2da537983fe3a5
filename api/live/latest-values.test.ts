/** The newest values in memory: event time decides, memory is bounded, tenants do not mix. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { LatestValues } from './latest-values.ts'

const at = (device: string, metric: string, ms: number) => ({ device, metric, at: ms, value: ms })

it('the newest by event time stands, and the first of two at one time', () => {
  const latest = new LatestValues({ seriesMax: 10, metricsPerDeviceMax: 10 })
  assert.equal(latest.offer('t', at('d', 'm', 5)), true)
  assert.equal(latest.offer('t', at('d', 'm', 4)), false)
  assert.equal(latest.offer('t', { ...at('d', 'm', 5), value: 'other' }), false)
  assert.equal(latest.offer('u', at('d', 'm', 1)), true)
  assert.deepEqual(latest.valuesOf('t', 'd'), { m: { value: 5, at: 5 } })
  assert.deepEqual(latest.valuesOf('u', 'd'), { m: { value: 1, at: 1 } })
  assert.deepEqual(latest.valuesOf('v', 'd'), {})
})

it('a metric may be called anything', () => {
  const latest = new LatestValues({ seriesMax: 10, metricsPerDeviceMax: 10 })
  for (const metric of ['__proto__', 'constructor']) latest.offer('t', at('d', metric, 1))
  assert.deepEqual(Object.keys(latest.valuesOf('t', 'd')), ['__proto__', 'constructor'])
  assert.equal(
    JSON.stringify(latest.valuesOf('t', 'd')),
    '{"__proto__":{"value":1,"at":1},"constructor":{"value":1,"at":1}}',
  )
})

it('ClickHouse is asked again about a device after a while, or when it forgot a metric', () => {
  const latest = new LatestValues({ seriesMax: 10, metricsPerDeviceMax: 2 })
  assert.equal(latest.isWhole('t', 'd', 0), false)
  latest.markWhole('t', 'd', 1_000)
  assert.equal(latest.isWhole('t', 'd', 1_001), true)
  assert.equal(latest.isWhole('t', 'd', 1_000_000), false)
  latest.markWhole('t', 'd', 2_000)
  for (const metric of ['a', 'b', 'c']) latest.offer('t', at('d', metric, 1))
  assert.equal(latest.isWhole('t', 'd', 2_001), false)
  assert.deepEqual(Object.keys(latest.valuesOf('t', 'd')), ['b', 'c'])
})

it('memory stays within its bounds, and counts what it holds', () => {
  const step = fc.record({
    tenant: fc.constantFrom('t', 'u'),
    device: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    metric: fc.constantFrom('m', 'n', 'o', 'p', 'q'),
    ms: fc.integer({ min: 0, max: 50 }),
    forget: fc.boolean(),
  })
  const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const bounds = { seriesMax: 8, metricsPerDeviceMax: 4 }
    const latest = new LatestValues(bounds)
    for (const { tenant, device, metric, ms, forget } of steps) {
      if (forget && ms < 5) latest.forget(tenant, device)
      else latest.offer(tenant, at(device, metric, ms))
      const held = ['t', 'u'].flatMap((one) => [...latest.of(one, '*')])
      assert.equal(latest.seriesCount, held.length)
      assert.ok(held.length <= bounds.seriesMax + bounds.metricsPerDeviceMax)
    }
  })
  fc.assert(property, { numRuns: 200 })
})
