/** Numbers of devices: what was dropped is missing, and nothing else, through restarts and overtaking. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type NumberReport, NumberWitness } from './message-numbers.ts'

function witnessed(numbers: readonly number[], fromMs = 0): NumberReport {
  const witness = new NumberWitness(fromMs)
  for (const [at, seq] of numbers.entries()) witness.add({ seq, tsMs: at * 10 })
  return witness.end()
}

const upTo = (last: number, first = 0): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

const gapsOf = ({ gaps }: NumberReport) => gaps.map(({ first, last }) => [first, last])

test('a hole between numbers is a gap, with the times of its neighbours', () => {
  const report = witnessed([5, 6, 9, 10, 12])
  assert.deepEqual(
    { ...report, gaps: report.gaps.length },
    { first: 5, last: 12, present: 5, missing: 3, runs: 1, gaps: 2 },
  )
  assert.deepEqual(report.gaps[0], { first: 7, last: 8, beforeMs: 10, afterMs: 20 })
})

test('a counter that starts again begins a new run, and misses nothing', () => {
  assert.equal(witnessed([...upTo(500), ...upTo(40, 1)]).missing, 0)
  assert.equal(witnessed([...upTo(500), ...upTo(40)]).runs, 2)
  // Shortly after its start, too: it is the second time that it says 0.
  assert.deepEqual(gapsOf(witnessed([0, 1, 2, 3, 0, 1, 2, 4])), [[3, 3]])
})

test('what is sent again after a reconnect is no gap', () => {
  assert.equal(witnessed([0, 1, 2, 3, 1, 2, 3, 4, 5]).missing, 0)
  assert.equal(witnessed([...upTo(200), ...upTo(260, 190)]).missing, 0)
})

test('a backlog that comes after newer messages fills the gap, in any order', () => {
  const backlog = upTo(150, 51).toReversed()
  assert.equal(witnessed([...upTo(50), ...upTo(900, 151), ...backlog]).missing, 0)
  const partly = backlog.filter((seq) => seq !== 99)
  assert.deepEqual(gapsOf(witnessed([...upTo(50), ...upTo(900, 151), ...partly])), [[99, 99]])
})

test('gaps before the range were judged when their hour was', () => {
  assert.deepEqual(gapsOf(witnessed([1, 5, 6, 8], 20)), [[7, 7]])
  assert.deepEqual(gapsOf(witnessed([1, 5, 6, 8], 10)), [[2, 4], [7, 7]]) // prettier-ignore
})

test('gaps are listed up to a bound, and counted beyond it', () => {
  const report = witnessed(upTo(1_000).filter((seq) => seq % 3 !== 1))
  assert.ok(report.gaps.length < 100)
  assert.equal(report.missing, 333)
})

test('whatever is dropped from runs that overtake a little is missing, and nothing else', () => {
  const run = fc.record({
    first: fc.constantFrom(0, 1),
    length: fc.integer({ min: 100, max: 600 }),
    dropped: fc.uniqueArray(fc.integer({ min: 2, max: 97 }), { maxLength: 8 }),
    overtaking: fc.array(fc.nat(20), { minLength: 1, maxLength: 30 }),
  })
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 4 }), (runs) => {
      const sent = runs.flatMap(({ first, length, dropped, overtaking }) => {
        // The first and the last stay where they are: between them everything can be judged.
        const kept = upTo(first + length, first).filter((seq) => !dropped.includes(seq))
        const late = (index: number) =>
          index === 0 || index === kept.length - 1
            ? 0
            : (overtaking[index % overtaking.length] ?? 0)
        return kept
          .map((seq, index) => [seq, index + late(index)] as const)
          .sort(([, a], [, b]) => a - b)
          .map(([seq]) => seq)
      })
      const report = witnessed(sent)
      assert.equal(report.missing, runs.reduce((sum, { dropped }) => sum + dropped.length, 0)) // prettier-ignore
      assert.equal(report.runs, runs.length)
      assert.equal(report.present, sent.length)
    }),
  )
})
