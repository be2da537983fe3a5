/** Which window updates go on to subscribers, and that no subscriber sees a window go back. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { rollupItem, type FeedItem } from './feed-item.ts'
import { RecentWindows } from './recent-windows.ts'

const TEN_SECONDS = 10_000

function update(nth: number, version: number, metric = 'm'): FeedItem {
  const window = {
    metric,
    kind: 'number' as const,
    resolutionMs: TEN_SECONDS,
    start: nth * TEN_SECONDS,
    count: version,
    sum: 0,
    min: 0,
    max: 0,
    first: 0,
    last: 0,
    firstTs: 0,
    lastTs: 0,
    m2: 0,
    integral: 0,
    firstText: '',
    lastText: '',
    final: false,
    correctedAt: 0,
    version,
  }
  const item = rollupItem({ tenant: 'acme', device: 'd', windows: [] }, window)
  assert.ok(item !== undefined)
  return item
}

describe('an update of a window', () => {
  it('older than those kept passes, and its lower version after it does not', () => {
    const windows = new RecentWindows(100)
    for (const nth of [5, 6, 7]) assert.ok(windows.offer('acme', update(nth, 10)))
    assert.ok(windows.offer('acme', update(1, 12)))
    assert.equal(windows.offer('acme', update(1, 11)), false)
    assert.ok(windows.offer('acme', update(1, 13)))
  })

  it('that gave way to newer windows does not come back with a lower version', () => {
    const windows = new RecentWindows(100)
    for (const nth of [1, 2, 3, 4]) assert.ok(windows.offer('acme', update(nth, 10)))
    assert.equal(windows.offer('acme', update(1, 9)), false)
  })

  it('of another tenant, or of another metric, is another window', () => {
    const windows = new RecentWindows(100)
    for (const nth of [1, 2, 3, 4]) windows.offer('acme', update(nth, 10))
    assert.ok(windows.offer('other', update(1, 9)))
    assert.ok(windows.offer('acme', update(1, 9, 'n')))
  })

  it('is never passed on with a version that is not higher than before', () => {
    const step = fc.record({ nth: fc.nat(9), version: fc.nat(30) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const windows = new RecentWindows(100)
        const highest = new Map<number, number>()
        for (const { nth, version } of steps) {
          const before = highest.get(nth) ?? -1
          assert.equal(windows.offer('acme', update(nth, version)), version > before)
          highest.set(nth, Math.max(before, version))
        }
      }),
    )
  })

  it('is forgotten in bounded memory: what passed long ago may pass again', () => {
    const windows = new RecentWindows(100, 2)
    for (const nth of [20, 21, 22]) windows.offer('acme', update(nth, 10))
    for (const nth of [1, 2, 3, 4, 5]) assert.ok(windows.offer('acme', update(nth, 10)))
    assert.ok(windows.offer('acme', update(1, 10)))
  })
})
