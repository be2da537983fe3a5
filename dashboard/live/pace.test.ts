import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { pace } from './pace.ts'

test('the first change is drawn at once, a thousand more as one, and rest costs nothing', () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    let drawn = 0
    const drawing = pace(() => drawn++, { everyMs: 250, soon: atOnce })
    drawing.ask()
    assert.equal(drawn, 1)
    for (let i = 0; i < 1000; i++) drawing.ask()
    mock.timers.tick(249)
    assert.equal(drawn, 1)
    mock.timers.tick(1)
    assert.equal(drawn, 2)
    mock.timers.tick(10_000)
    assert.equal(drawn, 2)
    drawing.ask()
    assert.equal(drawn, 3)
  } finally {
    mock.timers.reset()
  }
})

test('what waits for a frame is one drawing, and none after the stop', () => {
  const frames: (() => void)[] = []
  let drawn = 0
  const soon = (act: () => void) => {
    frames.push(act)
    return () => void frames.splice(0)
  }
  const drawing = pace(() => drawn++, { everyMs: 1, soon })
  drawing.ask()
  drawing.ask()
  assert.equal(frames.length, 1)
  drawing.stop()
  assert.equal(frames.length + drawn, 0)
})

function atOnce(act: () => void): () => void {
  act()
  return () => undefined
}
