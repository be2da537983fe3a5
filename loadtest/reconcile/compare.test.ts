import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Ledger, LedgerMessage, LedgerValue } from '../ledger.ts'
import { bruteWindows, differences } from './brute-windows.ts'
import { type StoredSeries, compare, holds } from './compare.ts'

const T = Date.UTC(2026, 0, 1)

function ledgerOf(messages: readonly Omit<LedgerMessage, 'id'>[]): Ledger {
  return {
    header: { ledger: 1, prefix: 'd', seed: 's', startedAtMs: T },
    messages: messages.map((message, index) => ({ ...message, id: index + 1 })),
    lastAckAtMs: T,
  }
}

const sent = (ts: number | null, x: LedgerValue, acked = true): Omit<LedgerMessage, 'id'> => ({
  device: 'd1',
  samples: [[ts, { x }]],
  acked,
})

/** A series that is stored as it should be. */
function storedOf(samples: readonly (readonly [number, number])[]): StoredSeries {
  const rows = samples.map(([ts, value]) => ({ ts, value, text: '' }))
  const windows = new Map([10_000, 60_000].map((ms) => [ms, [...bruteWindows(rows, ms).values()]]))
  return { device: 'd1', metric: 'x', kind: 'number', samples: rows, windows }
}

describe('the comparison of ledger and tables', () => {
  it('holds when everything acknowledged is stored and counted once', () => {
    const ledger = ledgerOf([sent(T, 1), sent(T + 1, 2), sent(T + 2, 3, false)])
    const verdict = compare(ledger, [
      storedOf([
        [T, 1],
        [T + 1, 2],
      ]),
    ])
    assert.ok(holds(verdict), verdict.examples.join('\n'))
    assert.deepEqual(
      [verdict.samplesAcked, verdict.samplesStored, verdict.windowsChecked],
      [2, 2, 2],
    )
  })

  it('accepts an unacknowledged sample that is stored', () => {
    assert.ok(holds(compare(ledgerOf([sent(T, 1, false)]), [storedOf([[T, 1]])])))
  })

  it('finds an acknowledged sample that is not stored', () => {
    const verdict = compare(ledgerOf([sent(T, 1), sent(T + 1, 2)]), [storedOf([[T, 1]])])
    assert.equal(verdict.lost, 1)
    assert.equal(compare(ledgerOf([sent(T, 1)]), []).lost, 1)
    assert.ok(!holds(verdict))
  })

  it('finds a sample that nobody sent, in a known and in an unknown series', () => {
    assert.equal(
      compare(ledgerOf([sent(T, 1)]), [
        storedOf([
          [T, 1],
          [T + 5, 9],
        ]),
      ]).invented,
      1,
    )
    assert.equal(compare(ledgerOf([]), [storedOf([[T, 1]])]).invented, 1)
  })

  it('finds a value that changed on the way', () => {
    assert.equal(compare(ledgerOf([sent(T, 1)]), [storedOf([[T, 1.5]])]).wrongValues, 1)
  })

  it('takes the first sent value where a device used one time twice', () => {
    assert.ok(holds(compare(ledgerOf([sent(T, 1), sent(T, 2)]), [storedOf([[T, 1]])])))
  })

  it('finds a stamped sample that was counted twice', () => {
    const series = storedOf([[T, 1]])
    const twice = (series.windows.get(10_000) ?? []).map((row) => ({ ...row, count: 2, sum: 2 }))
    const windows = new Map([[10_000, twice]])
    const verdict = compare(ledgerOf([sent(T, 1)]), [{ ...series, windows }])
    assert.deepEqual([verdict.duplicatedStamped, verdict.wrongRollups], [1, 1])
  })

  it('finds a window that is missing and one that should not be', () => {
    const series = storedOf([[T, 1]])
    const none = { ...series, windows: new Map([[10_000, []]]) }
    assert.equal(compare(ledgerOf([sent(T, 1)]), [none]).wrongRollups, 1)
    const rows = [...bruteWindows([{ ts: T + 60_000, value: 1, text: '' }], 10_000).values()]
    const other = { ...series, windows: new Map([[10_000, rows]]) }
    assert.equal(compare(ledgerOf([sent(T, 1)]), [other]).wrongRollups, 2)
  })

  it('compares unstamped samples by how often each value came', () => {
    const ledger = ledgerOf([sent(null, 1), sent(null, 2), sent(null, 2, false)])
    assert.ok(
      holds(
        compare(ledger, [
          storedOf([
            [T, 1],
            [T + 1, 2],
          ]),
        ]),
      ),
    )
    assert.equal(compare(ledger, [storedOf([[T, 2]])]).lost, 1)
    const again = compare(ledger, [
      storedOf([
        [T, 1],
        [T + 1, 1],
        [T + 2, 2],
      ]),
    ])
    assert.deepEqual([again.duplicatedUnstamped, holds(again)], [1, true])
    assert.equal(
      compare(ledger, [
        storedOf([
          [T, 1],
          [T + 1, 2],
          [T + 2, 7],
        ]),
      ]).invented,
      1,
    )
  })
})

describe('windows by brute force', () => {
  const sample = fc.record({
    ts: fc.integer({ min: T, max: T + 100_000 }),
    value: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    text: fc.constant(''),
  })

  it('hold every sample once, whatever the order it came in', () => {
    fc.assert(
      fc.property(fc.uniqueArray(sample, { selector: ({ ts }) => ts }), (samples) => {
        const windows = [...bruteWindows(samples, 10_000).values()]
        assert.equal(
          windows.reduce((sum, { count }) => sum + count, 0),
          samples.length,
        )
        assert.deepEqual(windows, [...bruteWindows(samples.toReversed(), 10_000).values()])
        for (const { start } of windows) assert.equal(start % 10_000, 0)
      }),
    )
  })

  it('notice any single sample that is left out', () => {
    fc.assert(
      fc.property(fc.uniqueArray(sample, { minLength: 2, selector: ({ ts }) => ts }), (samples) => {
        const [whole] = bruteWindows(samples, 1e6).values()
        const [part] = bruteWindows(samples.slice(1), 1e6).values()
        assert.ok(whole && part && differences(whole, part, 'number').includes('count'))
      }),
    )
  })

  it('forgive a sum added in another order and nothing more', () => {
    const [right] = bruteWindows(
      [0.1, 0.2, 0.3].map((value, i) => ({ ts: T + i, value, text: '' })),
      10_000,
    ).values()
    assert.ok(right)
    assert.deepEqual(differences(right, { ...right, sum: 0.3 + 0.2 + 0.1 }, 'number'), [])
    assert.deepEqual(differences(right, { ...right, sum: 0.600_001 }, 'number'), ['sum'])
    assert.deepEqual(differences(right, { ...right, sum: Number.NaN }, 'number'), ['sum'])
    assert.deepEqual(differences(right, { ...right, last: 0.30000000000000004 }, 'number'), [
      'last',
    ])
  })
})
