import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  checkpointMetadata,
  distrustedToMs,
  distrustingCheckpoint,
  isBelievable,
  parseCheckpoint,
} from './checkpoint.ts'
import { boundaryAfterMs, CELL_MS, RESOLUTIONS_MS, windowStartMs } from './tumbling-windows.ts'
import { invOf, invWords, versionOf } from './window-version.ts'

test('a checkpoint survives the commit metadata', () => {
  const offset = fc.integer({ min: 0, max: 2 ** 40 })
  const time = fc.integer({ min: -60_000, max: 4e12 })
  fc.assert(
    fc.property(offset, offset, time, time, (a, b, closedToMs, maxTsMs) => {
      const [resumeOffset, position] = [Math.min(a, b), Math.max(a, b)]
      const cascadedToMs = closedToMs
      const checkpoint = { resumeOffset, position, closedToMs, maxTsMs, cascadedToMs }
      const metadata = checkpointMetadata(checkpoint)
      assert.deepEqual(parseCheckpoint(resumeOffset, metadata), checkpoint)
    }),
  )
})

test('what was passed unread survives the commit metadata, or the metadata is given up', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 5_000 }), {
    minLength: 1,
    maxLength: 2_000,
    size: 'max',
  })
  let givenUp = 0
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), gaps, (resumeOffset, gaps) => {
      let last = resumeOffset - 1
      const skipped = gaps.map((gap) => (last += gap))
      const fixed = { closedToMs: 7, maxTsMs: 9, cascadedToMs: 7 }
      const checkpoint = { resumeOffset, position: last + 1, ...fixed, skipped }
      const metadata = checkpointMetadata(checkpoint)
      assert.ok(metadata.length < 4_000, `${metadata.length} bytes`)
      const read = parseCheckpoint(resumeOffset, metadata)
      if (read === undefined) givenUp += 1
      if (gaps.length < 700) assert.ok(read !== undefined)
      if (read !== undefined) assert.deepEqual(read, checkpoint)
    }),
  )
  assert.ok(givenUp > 0, 'no list was long enough')
})

test('a commit of a release without hours and days has them all made up for', () => {
  const old = parseCheckpoint(3, 'v1;5;7;9')
  assert.deepEqual([old?.position, old?.closedToMs, old?.cascadedToMs], [5, 7, 0])
})

test('metadata that is not ours is refused, never guessed at', () => {
  const bad = ['', 'v1', 'v3;9;2;3', 'v3;9;2;3;5;;00000000', 'v3;9;2;3;5;;', 'v2;1;2', 'v20;9;2;3', 'v1;1;2', 'v1;1;2;3;4', 'v1;-1;2;3', 'v1;1;x;3', 'v1;9;2;3;1', 'v2;9;2;3;', 'v2;9;2;3;*', 'v2;9;2;3;1,', 'v2;9;2;3;4', 'v1;1;2;3 ',
    'v1;1.5;2;3', 'v1;9999999999999999;2;3', 'v1;4;2;3', '\u0000', 'v1;1e3;2;3'] // prettier-ignore
  for (const metadata of bad) assert.equal(parseCheckpoint(5, metadata), undefined, metadata)
})

test('a release before this one is understood, but not where it says that no time passed', () => {
  const old = { resumeOffset: 5, position: 9, closedToMs: 2, maxTsMs: 3, cascadedToMs: 2 }
  assert.deepEqual(parseCheckpoint(5, 'v2;9;2;3'), old)
  assert.deepEqual(parseCheckpoint(5, 'v2;9;2;3;1,2'), { ...old, skipped: [6, 8] })
  assert.equal(parseCheckpoint(5, 'v2;9;0;0'), undefined)
  assert.equal(parseCheckpoint(9, 'v2;9;0;0'), undefined)
  assert.equal(parseCheckpoint(0, 'v2;0;0;0')?.position, 0)
})

test('metadata is of its own offset, and whole', () => {
  const checkpoint = { resumeOffset: 5, position: 9, closedToMs: 2, maxTsMs: 3, cascadedToMs: 2 }
  for (const skipped of [[], [6, 8]]) {
    const metadata = checkpointMetadata({ ...checkpoint, skipped })
    assert.notEqual(parseCheckpoint(5, metadata), undefined)
    for (const offset of [0, 4, 6, 9]) assert.equal(parseCheckpoint(offset, metadata), undefined)
    for (let at = 0; at < metadata.length; at += 1) {
      const other = metadata[at] === '1' ? '2' : '1'
      const changed = metadata.slice(0, at) + other + metadata.slice(at + 1)
      assert.equal(parseCheckpoint(5, changed), undefined, changed)
    }
  }
})

test('no checkpoint is believed whose times are ahead of the log', () => {
  const appendMs = 1_767_225_600_000
  const at = (closedToMs: number, maxTsMs: number) =>
    isBelievable({ ...distrustingCheckpoint(7, appendMs), closedToMs, maxTsMs }, appendMs)
  assert.ok(isBelievable(distrustingCheckpoint(7, appendMs), appendMs))
  assert.ok(at(appendMs - 15_000, appendMs))
  assert.ok(!at(Number.MAX_SAFE_INTEGER, appendMs))
  assert.ok(!at(appendMs, Number.MAX_SAFE_INTEGER))
  assert.ok(!at(distrustedToMs(appendMs) + 1, appendMs))
})

test('the distrusting start counts every window as closed that an older record could lie in', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), (appendMs) => {
      const { closedToMs } = distrustingCheckpoint(7, appendMs)
      assert.equal(closedToMs, distrustedToMs(appendMs))
      for (const size of RESOLUTIONS_MS) {
        assert.ok(windowStartMs(appendMs + 60_000, size) + size <= closedToMs)
      }
      assert.ok(closedToMs <= appendMs + 60_000 + CELL_MS)
    }),
  )
})

test('windows tile time and the largest is made of whole smaller ones', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), (tsMs) => {
      for (const size of RESOLUTIONS_MS) {
        const start = windowStartMs(tsMs, size)
        assert.ok(start <= tsMs && tsMs < start + size && start % size === 0)
        assert.equal(CELL_MS % size, 0)
      }
      assert.ok(boundaryAfterMs(tsMs) > tsMs)
    }),
  )
})

test('a later offset has a higher version whatever the fold epochs, and a lower inv', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 44 }), fc.nat(255), fc.nat(255), (at, a, b) => {
      assert.ok(versionOf(at + 1, a) > versionOf(at, b))
      assert.ok(Number.isSafeInteger(versionOf(at, a)))
      assert.ok(invOf(at + 1) < invOf(at) && invOf(at) <= 1n << 63n)
      const [low = 0, high = 0] = invWords([at], 1)
      assert.equal((BigInt(high) << 32n) | BigInt(low), invOf(at))
    }),
  )
  assert.throws(() => versionOf(-1, 1), RangeError)
  assert.throws(() => versionOf(2 ** 45, 1), RangeError)
})
