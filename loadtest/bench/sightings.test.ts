import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { DueTimes } from './sightings.ts'

describe('sightings of events that were due', () => {
  it('count each event once, from when it was due to when somebody first saw it', () => {
    const due = new DueTimes(2)
    const seen = due.sightings()
    due.note(0, systemClock.nowMs() - 60_000) // Before counting began.
    due.startCounting()
    const t = systemClock.nowMs() + 1000
    for (const ms of [t, t + 1000, t + 2000]) due.note(0, ms)
    due.note(1, t)
    assert.equal(seen.missing, 4)
    seen.saw(0, t + 1000, t + 1300)
    seen.saw(0, t + 1000, t + 1400)
    assert.deepEqual(seen.delaysMs, [1300, 300])
    assert.equal(seen.missing, 2)
    seen.saw(0, t + 2500, t + 2600)
    seen.saw(1, t, t + 1)
    assert.deepEqual(seen.delaysMs, [1300, 300, 600, 1])
    assert.equal(seen.missing, 0)
  })

  it('are of the watched devices only', () => {
    const due = new DueTimes(3)
    const seen = due.sightings([2])
    due.startCounting()
    const t = systemClock.nowMs() + 1000
    for (const device of [0, 1, 2]) due.note(device, t)
    seen.saw(0, t, t + 5)
    seen.saw(2, t, t + 7)
    assert.deepEqual([seen.delaysMs, seen.missing], [[7], 0])
  })
})
