import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { packageRoot } from '../../platform/package-root.ts'
import { KNOWN_RECORDINGS } from './known-recordings.ts'
import { packedPayload, parseRecording, positionRecording } from './recording.ts'

const CSV = [
  'timestamp,value',
  '2014-01-01 00:00:00,1',
  '2014-01-01 00:05:00,2.5',
  '2014-01-01 00:10:00,3',
  '2014-01-01 00:15:00,4',
  '',
].join('\n')
const at = (minute: number): number => Date.UTC(2014, 0, 1, 0, minute)

describe('a recording', () => {
  it('is read as UTC, in time order', () => {
    assert.deepEqual(parseRecording(CSV)[1], { atMs: at(5), value: 2.5 })
  })

  it('keeps the first value where a time repeats', () => {
    const samples = parseRecording(
      'timestamp,value\n2014-01-01 00:00:00,1\n2014-01-01 00:00:00,9\n',
    )
    assert.deepEqual(samples, [{ atMs: at(0), value: 1 }])
  })

  it('refuses a line that is not a time and a number', () => {
    for (const line of ['2014-01-01 00:00:00,', 'never,1', '2014-01-01 00:00:00,warm', 'x']) {
      assert.throws(() => parseRecording(`timestamp,value\n${line}\n`), /line 2/)
    }
  })

  it('ends its history exactly at the given time, keeps its spacing and leaves the rest to play', () => {
    const positioned = positionRecording(parseRecording(CSV), {
      failureStartsAtMs: at(15),
      leadSamples: 1,
      endsAtMs: 1_000_000_000,
    })
    assert.deepEqual(
      positioned.history.map(({ atMs }) => atMs),
      [1_000_000_000 - 300_000, 1_000_000_000],
    )
    assert.deepEqual(positioned.live, [3, 4])
  })

  it('refuses a failure after its end', () => {
    const options = { failureStartsAtMs: at(99), leadSamples: 1, endsAtMs: 0 }
    assert.throws(() => positionRecording(parseRecording(CSV), options), /after the end/)
  })

  it('packs samples as an array of times and values', () => {
    assert.equal(
      packedPayload('t', [{ atMs: 5, value: 1.5 }]).toString(),
      '[{"ts":5,"values":{"t":1.5}}]',
    )
  })

  for (const known of KNOWN_RECORDINGS) {
    it(`of ${known.device} is readable and has history before its failure and a failure to play`, () => {
      const path = join(packageRoot(), 'loadtest', 'recordings', known.file)
      const endsAtMs = Date.UTC(2026, 0, 1)
      const { history, live } = positionRecording(parseRecording(readFileSync(path, 'utf8')), {
        failureStartsAtMs: known.failureStartsAtMs,
        leadSamples: 30,
        endsAtMs,
      })
      assert.ok(history.length > 5000 && live.length > 1000)
      assert.equal(Math.max(...history.map(({ atMs }) => atMs)), endsAtMs)
    })
  }
})
